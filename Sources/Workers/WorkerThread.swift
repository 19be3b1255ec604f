// One operating system thread: a job runs on one thread from its claim to its end, blocking as it likes.
// Made and joined from any thread. Fails when the system has no thread left (EAGAIN).
//
// Threads bear no name: pthread_setname_np is not in what `import Glibc` offers.

import Glibc

final class WorkerThread: Sendable {
    /// Bytes of stack. A turn's frames are shallow (JSON nests 64 deep at most) and 4,096 threads must fit a machine;
    /// pages are only used when touched.
    static let stackSize = 1 << 20

    private let handle: pthread_t

    /// Carries the closure over to the new thread.
    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    init(_ body: @escaping @Sendable () -> Void) throws(WorkerError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, WorkerThread.stackSize)
        let work = Unmanaged.passRetained(Work(body))
        var handle = pthread_t()
        let code = pthread_create(&handle, &attributes, WorkerThread.main, work.toOpaque())
        guard code == 0 else {
            work.release()
            throw WorkerError(
                .noThread,
                "The system refused a thread (errno \(code)); use fewer workers or raise the limit on processes.")
        }
        self.handle = handle
    }

    /// A C function: a closure given to pthread_create in place could be inferred to belong to an actor.
    private static let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { pointer in
        guard let pointer else { return nil }
        Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue().body()
        return nil
    }

    /// Waits until the thread has ended. Once, and never from the thread itself.
    func join() {
        pthread_join(handle, nil)
    }
}
