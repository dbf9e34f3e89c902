//! The running server's desk: a Unix socket that only its owner can open, one question and one answer per line.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Bytes of one question.
const QUESTION_BYTES_MAX: u64 = 64 * 1024;

/// Answers one line with one line. What the lines say is the desk's matter.
pub type Handler = Arc<dyn Fn(String) -> BoxFuture<'static, String> + Send + Sync>;

/// The open desk; it closes when this is dropped.
pub struct Control {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Control {
    /// Opens the socket, in place of one that a dead server left behind.
    ///
    /// # Errors
    /// When the socket cannot be made, or another server answers on it.
    pub fn open(path: &Path, handler: Handler) -> io::Result<Control> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            let text = format!("another waxwing serves {}", path.display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        // Made elsewhere and moved, so that it is never open to others, not even for a moment.
        let private = path.with_extension("new");
        for old in [path, &private] {
            match std::fs::remove_file(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let listener = UnixListener::bind(&private)?;
        std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&private, path)?;
        let task = tokio::spawn(accept(listener, handler));
        Ok(Control { path: path.to_owned(), task })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // If it is gone already, so much the better.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, handler: Handler) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let handler = handler.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &handler).await {
                        tracing::debug!(%error, "a conversation at the desk broke off");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, handler: &Handler) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    loop {
        let mut line = String::new();
        let read = (&mut input).take(QUESTION_BYTES_MAX).read_line(&mut line).await?;
        if read == 0 || !line.ends_with('\n') {
            return Ok(());
        }
        let mut answer = handler(line).await;
        answer.push('\n');
        output.write_all(answer.as_bytes()).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_its_owner_only() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("control.sock");
        let handler: Handler = Arc::new(|line| Box::pin(async move { line.trim().to_uppercase() }));
        let control = Control::open(&path, handler.clone())?;
        assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert!(Control::open(&path, handler.clone()).is_err());

        let mut stream = UnixStream::connect(&path).await?;
        stream.write_all(b"one\ntwo\n").await?;
        let mut answers = [0; 8];
        stream.read_exact(&mut answers).await?;
        assert_eq!(&answers, b"ONE\nTWO\n");

        drop(control);
        assert!(!path.exists());
        std::fs::write(&path, "left behind")?;
        Control::open(&path, handler)?;
        Ok(())
    }
}
