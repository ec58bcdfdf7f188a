//! Certificates for servers with TLS.

use std::{path::Path, process::Command};

/// An authority (`ca.pem`), and a certificate of this machine that it signed (`server.pem`, `server.key`), in a new folder.
pub(crate) fn certificates(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    let openssl = |line: &str| {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(folder).output();
        let output = output.unwrap_or_else(|error| panic!("`openssl` is missing ({error}): apt-get install openssl"));
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("{key} -x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"));
    openssl(&format!("{key} -subj /CN=localhost -keyout server.key -out server.csr"));
    openssl("x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem");
    // The server runs as somebody else.
    Command::new("chmod").args(["-R", "a+rX", "."]).current_dir(folder).status().unwrap();
}
