//! Questions to the running server and its answers, one JSON object per line.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::commands::{self, Arguments};
use crate::desk::Desk;
use crate::desk::{Lines, Refused};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// `{"command": …, "arguments": [[name, value], …]}`
#[derive(Serialize, Deserialize)]
struct Question {
    command: String,
    #[serde(default)]
    arguments: Vec<(String, String)>,
}

/// `{"ok": [[name, value], …]}` or `{"error": …}`
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(Lines),
    Error(String),
}

/// Answers one line.
pub async fn answer(desk: &dyn Desk, line: &str) -> String {
    let answer = match serde_json::from_str::<Question>(line) {
        Ok(question) => commands::run(desk, &question.command, &Arguments(question.arguments)).await,
        // What was sent is not repeated: there may be a password in it.
        Err(error) => {
            Err(Refused(format!("not a question: line {}, column {}", error.line(), error.column())))
        }
    };
    let answer = match answer {
        Ok(lines) => Answer::Ok(lines),
        Err(Refused(why)) => Answer::Error(why),
    };
    serde_json::to_string(&answer)
        .unwrap_or_else(|_| r#"{"error":"the answer cannot be written"}"#.to_owned())
}

/// Asks the server behind the socket. `None`: there is none.
///
/// # Errors
/// What the server said, or that it could not be asked.
pub fn ask(socket: &Path, command: &str, arguments: &Arguments) -> Result<Option<Lines>, Refused> {
    let stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                io::ErrorKind::PermissionDenied => Err(Refused(format!(
                    "{} may not be opened; run this as the user that runs the server",
                    socket.display()
                ))),
                _ => Err(Refused(format!("{}: {error}", socket.display()))),
            };
        }
    };
    let question = Question { command: command.to_owned(), arguments: arguments.0.clone() };
    let line = converse(stream, &question)
        .map_err(|error| Refused(format!("the server does not answer: {error}")))?;
    match serde_json::from_str(&line) {
        Ok(Answer::Ok(lines)) => Ok(Some(lines)),
        Ok(Answer::Error(why)) => Err(Refused(why)),
        Err(_) => Err(Refused("the server's answer cannot be read; is it of another version?".to_owned())),
    }
}

fn converse(mut stream: UnixStream, question: &Question) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(question)?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}
