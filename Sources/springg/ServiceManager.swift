import Dispatch
import Glibc
import SpringgNet

/// Tells systemd how the server is (`Type=notify`, `WatchdogSec=`); does nothing where nobody listens.
///
/// The protocol is one datagram of lines to the socket that `NOTIFY_SOCKET` names: sd_notify(3).
enum ServiceManager {
    /// Sends lines such as `READY=1`; what cannot be sent is not missed by anybody who looks at the server itself.
    static func notify(_ lines: String) {
        guard let path = getenv("NOTIFY_SOCKET") else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let length = strlen(path)
        guard length > 1, length < MemoryLayout.size(ofValue: address.sun_path) else { return }
        withUnsafeMutableBytes(of: &address.sun_path) { target in
            target.copyMemory(from: UnsafeRawBufferPointer(start: path, count: length))
            // An at sign stands for the zero byte with which abstract names begin.
            if target[0] == UInt8(ascii: "@") { target[0] = 0 }
        }
        let socket = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { return }
        defer { close(socket) }
        let size = socklen_t(MemoryLayout<sa_family_t>.size + length)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                _ = sendto(socket, lines, lines.utf8.count, Int32(MSG_NOSIGNAL), pointer, size)
            }
        }
    }

    /// Answers the watchdog for as long as every event loop does its work.
    ///
    /// A loop that hangs is waited for, and so the watchdog hears nothing more and restarts the server.
    static func watch(_ server: APIServer) {
        guard let nanoseconds = watchdogNanoseconds else { return }
        let queue = DispatchQueue(label: "springg.watchdog")
        @Sendable func beat() {
            try? Blocking.wait { await server.touch() }
            notify("WATCHDOG=1")
            queue.asyncAfter(deadline: .now() + .nanoseconds(nanoseconds / 2), execute: beat)
        }
        queue.async(execute: beat)
    }

    /// After so long without a sign the server is restarted; nil when nobody watches.
    private static var watchdogNanoseconds: Int? {
        guard let text = getenv("WATCHDOG_USEC"), let microseconds = Int(String(cString: text)), microseconds > 0,
            microseconds < 1 << 40
        else { return nil }
        if let process = getenv("WATCHDOG_PID"), Int32(String(cString: process)) != getpid() { return nil }
        return microseconds * 1000
    }
}
