//! The file of a Unix socket: what stands in its place before, and that it is gone afterwards.
//!
//! A server that was killed leaves its file behind, and nobody can listen there until it is removed; but
//! to remove that of a server which lives would cut it off from all who come. So it is knocked first. Of
//! two servers that start in the same moment on what a third has left, the later may take the place of the
//! sooner: no file system has a call for all of it at once.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// A place in the file system where nobody listens.
pub(crate) struct Vacant(PathBuf);

/// The file of a socket of ours. It is removed when this is dropped, unless another has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: Inode,
}

/// Which file it is, whatever its name.
type Inode = (u64, u64);

impl SocketFile {
    /// Removes what a server has left there that is gone.
    pub(crate) fn make_way(path: PathBuf) -> io::Result<Vacant> {
        // The working directory may be another when it is to be removed.
        let path = std::path::absolute(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // One whose backlog is full would let us wait.
        socket.set_nonblocking(true)?;
        let knocked = socket.connect(&SockAddr::unix(&path)?);
        match knocked.map_err(|error| error.kind()) {
            Err(io::ErrorKind::NotFound) => Ok(Vacant(path)),
            Err(io::ErrorKind::ConnectionRefused) => {
                // What is no socket refuses, too.
                if !fs::symlink_metadata(&path)?.file_type().is_socket() {
                    let why = "a file is in the way, which is no socket";
                    return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
                }
                fs::remove_file(&path)?;
                Ok(Vacant(path))
            }
            // One whose backlog is full listens as well.
            Ok(_) | Err(io::ErrorKind::WouldBlock) => {
                Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there"))
            }
            Err(kind) => Err(kind.into()),
        }
    }
}

impl Vacant {
    /// Listens there.
    pub(crate) fn bind(self, backlog: i32) -> io::Result<(Socket, SocketFile)> {
        let Self(path) = self;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&path)?)?;
        let file = SocketFile { inode: inode(&path)?, path };
        socket.listen(backlog)?;
        Ok((socket, file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // Who took it away already has done it for us.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<Inode> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
