// What a failed file call looks like to everyone above. errno is translated here and nowhere else.

import Glibc

/// A file call that failed: what was tried, on which path, and the kernel's reason.
public struct FileError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable {
        case notFound, exists, noSpace, readOnly, tooManyOpenFiles, permission, notDirectory, isDirectory
        /// A symbolic link where none may stand.
        case symlink
        /// The path leads out of the folder it must stay in.
        case escapes
        /// Another open file holds the lock, and has not let go in the time there was.
        case busy
        case crossDevice, wouldBlock, nameTooLong, notEmpty, tooLarge, io, invalid
        /// The call does not exist on this kernel or file system.
        case unsupported
        case other
    }

    public var code: Code
    /// The call, such as "fsync".
    public var operation: String
    public var path: String
    /// The kernel's number; 0 where the refusal is our own.
    public var errno: Int32
    /// The change can be seen all the same: only whether it is durable is not known, and it could not be taken back.
    public var mayHaveHappened = false

    public init(code: Code, operation: String, path: String, errno: Int32 = 0) {
        self.code = code
        self.operation = operation
        self.path = path
        self.errno = errno
    }

    public init(errno: Int32, operation: String, path: String) {
        self.init(code: FileError.code(errno), operation: operation, path: path, errno: errno)
    }

    public var description: String {
        if code == .busy { return "\(operation) \(path): something else holds the lock and does not let go; try again" }
        let reason = errno == 0 ? code.rawValue : String(cString: strerror(errno))
        return "\(operation) \(path): \(reason)"
    }

    /// True where trying again later can succeed without anybody changing the request.
    public var isPassing: Bool {
        switch code {
        case .noSpace, .readOnly, .tooManyOpenFiles, .io, .wouldBlock, .busy: return true
        // ENOMEM, EBUSY, ESTALE, ENOLCK, ETIMEDOUT … : the system's trouble, not the file's.
        case .other: return true
        default: return false
        }
    }

    private static func code(_ errno: Int32) -> Code {
        switch errno {
        case ENOENT: return .notFound
        case EEXIST: return .exists
        case ENOSPC, EDQUOT: return .noSpace
        case EROFS: return .readOnly
        case EMFILE, ENFILE: return .tooManyOpenFiles
        case EACCES, EPERM: return .permission
        // A socket, or a pipe nobody reads.
        case ENXIO: return .invalid
        case ENOTDIR: return .notDirectory
        case EISDIR: return .isDirectory
        case ELOOP: return .symlink
        case EXDEV: return .crossDevice
        case EAGAIN: return .wouldBlock
        case ENAMETOOLONG: return .nameTooLong
        case ENOTEMPTY: return .notEmpty
        case EFBIG: return .tooLarge
        case EIO: return .io
        case EINVAL: return .invalid
        case ENOSYS, EOPNOTSUPP: return .unsupported
        default: return .other
        }
    }
}
