import CCurl
import Glibc
import Synchronization

/// HTTP by libcurl: each caller's thread carries its own transfer, on a connection that is kept for the next.
///
/// Threads and not libcurl's multi interface: the callers are a handful of archive threads that block on disks anyway, and
/// a transfer that lives on one thread's stack needs no locks and no second scheduler.
package final class CurlClient: HTTPTransport {
    private let idle = Mutex<[CurlHandle]>([])
    private let turns: Turnstile
    private let isClosed = Atomic<Bool>(false)
    private let certificates: String?

    /// Connections that are kept open for nobody in particular.
    private static let idleMax = 16

    /// Makes a client.
    ///
    /// `certificates` is a file of authorities to trust instead of the system's.
    package init(connectionsMax: Int, certificates: String? = nil) {
        _ = CurlClient.library
        turns = Turnstile(connectionsMax)
        self.certificates = certificates
    }

    /// Must precede all else, once for the process; safe from any thread since libcurl 7.84, and harmless when repeated.
    private static let library: CURLcode = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

    /// See `HTTPTransport`.
    package func send(
        _ request: HTTPRequest,
        onBody: (HTTPAnswer, UnsafeRawBufferPointer) throws -> Void
    ) throws(HTTPFailure) -> HTTPAnswer {
        turns.enter()
        defer { turns.leave() }
        guard !isClosed.load(ordering: .acquiring) else { throw .closed }
        guard let handle = idle.withLock({ $0.popLast() }) ?? CurlHandle() else {
            throw .unreachable("libcurl has no memory")
        }
        defer { idle.withLock { if $0.count < CurlClient.idleMax { $0.append(handle) } } }
        return try withoutActuallyEscaping(onBody) { (onBody) throws(HTTPFailure) in
            let transfer = CurlTransfer(request, onBody: onBody) { [self] in isClosed.load(ordering: .relaxed) }
            return try transfer.perform(on: handle, certificates: certificates)
        }
    }

    /// See `HTTPTransport`.
    package func close() {
        isClosed.store(true, ordering: .releasing)
        idle.withLock { $0 = [] }
    }
}
