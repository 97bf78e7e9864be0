import Glibc
import Synchronization

/// TCP connections of tests, as plain descriptors.
package enum Socket {
    /// Connects to a port of an IPv4 address.
    ///
    /// The descriptor is blocking, closed in children, and has no Nagle delay.
    static func connect(host: String, port: Int, from source: String? = nil) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestKitError.system("making a socket") }
        var result: Int32 = 0
        if let source { result = withAddress(source, 0) { bind(descriptor, $0, $1) } }
        if result == 0 { result = withAddress(host, port) { Glibc.connect(descriptor, $0, $1) } }
        guard result == 0 else {
            let error = TestKitError.system("connecting to \(host):\(port)")
            close(descriptor)
            throw error
        }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        return descriptor
    }

    private static func withAddress(
        _ host: String,
        _ port: Int,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(truncatingIfNeeded: port)).bigEndian
        address.sin_addr.s_addr = inet_addr(host)
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    /// Listens on a free port of the loopback.
    static func listen(backlog: Int) throws -> (descriptor: Int32, port: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestKitError.system("making a socket") }
        guard let port = try? bindToFreePort(descriptor), Glibc.listen(descriptor, Int32(backlog)) == 0 else {
            let error = TestKitError.system("listening on the loopback")
            close(descriptor)
            throw error
        }
        return (descriptor, port)
    }

    /// Ports that `freePort` has returned.
    private static let given = Mutex<Set<Int>>([])
    /// Below lie those of services.
    private static let firstPort = 10_000
    private static let portAttemptsMax = 1000

    /// A port of the loopback that nobody listens on at this moment, and that no other caller was given.
    ///
    /// It is not one of those that the kernel gives to connections: until a program listens on it, and while that program is
    /// down, no client takes it.
    package static func freePort() throws -> Int {
        let range = try String(decoding: Files.read("/proc/sys/net/ipv4/ip_local_port_range"), as: UTF8.self)
        let end = range.split { !$0.isNumber }.first.flatMap { Int($0) } ?? 0
        for _ in 0..<portAttemptsMax where end > firstPort {
            let port = Int.random(in: firstPort..<end)
            guard given.withLock({ $0.insert(port).inserted }) else { continue }
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            defer { close(descriptor) }
            if (try? bindToFreePort(descriptor, port)) != nil { return port }
        }
        throw TestKitError("there is no free port from \(firstPort) to \(end), where those of connections begin")
    }

    /// Binds to a port of the loopback; to any that is free when it is 0.
    private static func bindToFreePort(_ descriptor: Int32, _ port: Int = 0) throws -> Int {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        guard result == 0 else { throw TestKitError.system("looking for a free port") }
        return Int(in_port_t(bigEndian: address.sin_port))
    }

    /// Waits until the descriptor has one of the events, or throws at the deadline.
    static func wait(_ descriptor: Int32, for events: Int32, until deadline: Deadline, _ what: String) throws {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        while true {
            let result = poll(&entry, 1, deadline.pollMilliseconds)
            if result > 0 { return }
            if result == 0, deadline.isOver { throw TestKitError("time-out \(what)") }
            if result < 0, errno != EINTR { throw TestKitError.system(what) }
        }
    }
}
