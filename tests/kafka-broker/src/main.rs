//! The broker's own command line, as a program.

#[tokio::main]
async fn main() {
    if let Err(error) = nisshi_cli::Cli::main().await {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
