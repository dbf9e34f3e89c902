//! What carries a connection's bytes: a socket, in the clear or inside TLS. It holds nothing while nothing is on its
//! way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use stream::TlsFacts;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::{RECORD_MAX, Records};

/// A handshake that is on its way.
pub type Handshake = BoxFuture<'static, io::Result<(TcpStream, Records, TlsFacts)>>;

/// Bytes that a reader's buffer must have beyond those that it wants to be read at once.
pub const FRONT: usize = RECORD_MAX;

/// The channel of one connection.
pub enum Channel {
    /// In the clear.
    Plain(TcpStream),
    /// On its way to TLS: nothing can be read or written.
    Handshake(Handshake),
    /// Inside TLS.
    Tls(Box<Secure>),
    /// There is none any more.
    Gone,
}

/// A socket and the records on it.
pub struct Secure {
    socket: TcpStream,
    records: Records,
    /// The beginning of a record.
    partial: Vec<u8>,
    /// The other side has said that nothing follows.
    ended: bool,
}

impl Secure {
    /// A socket whose handshake is done.
    pub fn new(socket: TcpStream, records: Records) -> Self {
        Secure { socket, records, partial: Vec::new(), ended: false }
    }
}

/// What one read has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many bytes came over the socket; so many for the reader stand at the front of its buffer.
    Some {
        /// Over the socket.
        carried: usize,
        /// For the reader.
        plain: usize,
    },
    /// Nothing follows.
    End,
}

impl Channel {
    /// Reads once, `room` bytes at most. `buffer` has [`FRONT`] bytes more. What has to be said at once is written
    /// behind `out`.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        room: usize,
        out: &mut Vec<u8>,
    ) -> Poll<io::Result<Read>> {
        match self {
            Channel::Plain(socket) => {
                let plain = ready!(read(socket, cx, &mut buffer[..room]))?;
                Poll::Ready(Ok(match plain {
                    0 => Read::End,
                    _ => Read::Some { carried: plain, plain },
                }))
            }
            Channel::Tls(secure) => secure.poll_read(cx, buffer, room, out),
            Channel::Handshake(_) | Channel::Gone => Poll::Pending,
        }
    }

    /// Whether something can be written.
    pub fn is_open(&self) -> bool {
        matches!(self, Channel::Plain(_) | Channel::Tls(_))
    }

    /// Makes what is to be said ready for the socket, behind what `out` has.
    ///
    /// # Errors
    /// As [`Records::seal`].
    pub fn seal(&mut self, plain: Vec<u8>, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Channel::Tls(secure) => secure.records.seal(&plain, out)?,
            _ if out.is_empty() => *out = plain,
            _ => out.extend_from_slice(&plain),
        }
        Ok(())
    }

    /// Says that nothing follows.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if let Channel::Tls(secure) = self {
            secure.records.close(out);
        }
    }

    /// Writes what has been made ready.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Channel::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Channel::Tls(secure) => Pin::new(&mut secure.socket).poll_write(cx, bytes),
            // During a handshake nothing is written; afterwards it is.
            Channel::Handshake(_) => Poll::Pending,
            Channel::Gone => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Closes our side of the socket.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Channel::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Channel::Tls(secure) => Pin::new(&mut secure.socket).poll_shutdown(cx),
            Channel::Handshake(_) | Channel::Gone => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl Secure {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
        room: usize,
        out: &mut Vec<u8>,
    ) -> Poll<io::Result<Read>> {
        if self.ended {
            return Poll::Ready(Ok(Read::End));
        }
        let before = self.partial.len();
        let carried = ready!(read(&mut self.socket, cx, &mut buffer[before..before + room]))?;
        if carried == 0 {
            return Poll::Ready(Ok(Read::End));
        }
        buffer[..before].copy_from_slice(&std::mem::take(&mut self.partial));
        let opened = self.records.open(&mut buffer[..before + carried], out)?;
        self.partial = buffer[opened.rest].to_vec();
        self.ended = opened.ended;
        Poll::Ready(Ok(Read::Some { carried, plain: opened.plain }))
    }
}

fn read(socket: &mut TcpStream, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut into = ReadBuf::new(buffer);
    ready!(Pin::new(socket).poll_read(cx, &mut into))?;
    Poll::Ready(Ok(into.filled().len()))
}
