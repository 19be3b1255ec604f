// Root's tests of the command box: the kernel lets the box's user alone reach the folders of a box.

import Glibc

@_silgen_name("setfsuid") private func setfsuid(_ user: UInt32) -> Int32
@_silgen_name("setfsgid") private func setfsgid(_ group: UInt32) -> Int32

public let nobody: UInt32 = 65_534

/// Runs `body`, on this thread, with the file rights of nobody where the caller is root: what it makes belongs to nobody.
public func asNobody<Value>(_ body: () throws -> Value) rethrows -> Value {
    guard geteuid() == 0 else { return try body() }
    _ = setfsgid(nobody)
    _ = setfsuid(nobody)
    defer {
        _ = setfsuid(0)
        _ = setfsgid(0)
    }
    return try body()
}
