//! What the mock of a broker lacks, put in front of it: TLS, and users with passwords (SASL/PLAIN).
//!
//! Kafka's protocol is frames: a length of four bytes, then, in a request, the number of the question, its version, a number
//! that the answer repeats, and the client's name. Only what must be understood is.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
};

use domain_events::testkit::server::KafkaMock;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

const API_VERSIONS: i16 = 18;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
/// `SASL_AUTHENTICATION_FAILED`.
const REFUSED: i16 = 58;

/// A door to a mock, which says in its answers that the door is the broker.
pub(crate) struct Front {
    pub(crate) port: u16,
}

#[derive(Clone)]
struct Door {
    tls: Option<TlsAcceptor>,
    /// What a client has to say: `\0user\0password`.
    secret: Option<Vec<u8>>,
    mock: String,
    port: u16,
}

/// Certificate and key in this folder, for connections to the front.
pub(crate) fn acceptor(folder: &Path) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

impl Front {
    pub(crate) async fn start(mock: &KafkaMock, tls: Option<TlsAcceptor>, user: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let secret = user.map(|(user, password)| format!("\0{user}\0{password}").into_bytes());
        let door = Door { tls, secret, mock: mock.bootstrap().to_owned(), port };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let door = door.clone();
                // A connection ends with whoever is on either side of it.
                tokio::spawn(async move {
                    match door.tls.clone() {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                door.serve(stream).await;
                            }
                        }
                        None => door.serve(stream).await,
                    }
                });
            }
        });
        Self { port }
    }
}

impl Door {
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Send + 'static) {
        let Ok(mock) = TcpStream::connect(&self.mock).await else { return };
        let ((questions, answers), (from_mock, to_mock)) = (split(stream), mock.into_split());
        let (said, to_say) = unbounded_channel();
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let telling = tokio::spawn(tell(answers, to_say));
        let answering = tokio::spawn(self.clone().answers(from_mock, said.clone(), Arc::clone(&asked)));
        self.questions(questions, to_mock, &said, &asked).await;
        answering.abort();
        drop(said);
        let _ = telling.await;
    }

    /// Passes questions on, or answers them here.
    async fn questions<S: AsyncRead>(
        &self,
        mut questions: ReadHalf<S>,
        mut mock: impl AsyncWrite + Unpin,
        said: &UnboundedSender<Vec<u8>>,
        asked: &Mutex<HashMap<i32, i16>>,
    ) {
        let mut welcome = self.secret.is_none();
        while let Some(frame) = frame(&mut questions).await {
            let number = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
            let question = number(0);
            let correlation = i32::from_be_bytes(frame[4..8].try_into().unwrap());
            let mut answer = correlation.to_be_bytes().to_vec();
            match question {
                SASL_HANDSHAKE => {
                    answer.extend([0, 0, 0, 0, 0, 1, 0, 5]);
                    answer.extend(b"PLAIN");
                    said.send(answer).unwrap();
                }
                SASL_AUTHENTICATE => {
                    let secret = &frame[10 + usize::try_from(number(8)).unwrap() + 4..];
                    welcome = self.secret.as_deref() == Some(secret);
                    answer.extend(if welcome { 0 } else { REFUSED }.to_be_bytes());
                    // No text, no bytes, no end of the session.
                    answer.extend([0xff, 0xff, 0, 0, 0, 0]);
                    answer.extend(0_i64.to_be_bytes());
                    said.send(answer).unwrap();
                }
                API_VERSIONS if self.secret.is_some() => {
                    asked.lock().unwrap().insert(correlation, question);
                    pass_on(&mut mock, &frame).await;
                }
                _ if welcome || question == API_VERSIONS => pass_on(&mut mock, &frame).await,
                _ => return,
            }
        }
    }

    /// Passes answers on. Where the mock names itself, it is this door; where it lists what it knows, this door knows more.
    async fn answers(
        self,
        mut mock: impl AsyncRead + Unpin,
        said: UnboundedSender<Vec<u8>>,
        asked: Arc<Mutex<HashMap<i32, i16>>>,
    ) {
        let (host, port) = self.mock.rsplit_once(':').unwrap();
        let mut itself = host.as_bytes().to_vec();
        let mut door = itself.clone();
        itself.extend(port.parse::<i32>().unwrap().to_be_bytes());
        door.extend(i32::from(self.port).to_be_bytes());
        while let Some(mut frame) = frame(&mut mock).await {
            let correlation = i32::from_be_bytes(frame[..4].try_into().unwrap());
            for at in 0..frame.len().saturating_sub(itself.len() - 1) {
                if frame[at..].starts_with(&itself) {
                    frame[at..at + door.len()].copy_from_slice(&door);
                }
            }
            let is_list = asked.lock().unwrap().remove(&correlation).is_some();
            if is_list && frame[4..6] == [0, 0] {
                let count = i32::from_be_bytes(frame[6..10].try_into().unwrap());
                frame.splice(6..10, (count + 2).to_be_bytes());
                for question in [SASL_HANDSHAKE, SASL_AUTHENTICATE] {
                    let entry = [question, 0, 1].map(i16::to_be_bytes).concat();
                    frame.splice(10..10, entry);
                }
            }
            if said.send(frame).is_err() {
                return;
            }
        }
    }
}

/// The next frame, without its length; none at the end.
async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

async fn pass_on(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) {
    // If that side is gone, the next read of the other tells.
    let _ = stream.write_u32(u32::try_from(frame.len()).unwrap()).await;
    let _ = stream.write_all(frame).await;
    let _ = stream.flush().await;
}

async fn tell<S: AsyncWrite>(mut answers: WriteHalf<S>, mut to_say: tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = to_say.recv().await {
        pass_on(&mut answers, &frame).await;
    }
}
