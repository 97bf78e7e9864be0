import Glibc
import SpringgTestKit
import Testing

extension EndToEnd {
    /// What a service manager sees of the server.
    @Suite struct ServiceTests {
        /// The socket that systemd would listen on.
        private final class Manager {
            let path: String
            private let socket: Int32

            init(_ directory: String) throws {
                path = directory + "/notify"
                socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8) + [0]) }
                let bound = withUnsafePointer(to: &address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                    }
                }
                guard bound == 0 else { throw TestKitError.system("binding \(path)") }
                var limit = timeval(tv_sec: 20, tv_usec: 0)
                setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            }

            deinit { close(socket) }

            /// The next message that is more than a status.
            func next() -> String {
                var bytes = [UInt8](repeating: 0, count: 4096)
                while true {
                    let count = recv(socket, &bytes, bytes.count, 0)
                    guard count > 0 else { return "nothing: \(errno)" }
                    let text = String(decoding: bytes[..<count], as: UTF8.self)
                    if !text.hasPrefix("STATUS=") { return text }
                }
            }
        }

        @Test func theManagerHearsOfReadinessLifeAndEnd() throws {
            let node = try NodeFixture()
            let manager = try Manager(node.directory)
            node.environment["NOTIFY_SOCKET"] = manager.path
            node.environment["WATCHDOG_USEC"] = "100000"
            try node.start()
            #expect(manager.next() == "READY=1\nSTATUS=Serving on http://127.0.0.1:\(node.port)")
            for _ in 0..<3 { #expect(manager.next() == "WATCHDOG=1") }
            node.send(signal: SIGTERM)
            var last = manager.next()
            while last == "WATCHDOG=1" { last = manager.next() }
            #expect(last == "STOPPING=1")
            try node.waitForExit(seconds: 15)
        }

        @Test func anotherProcessIsNotWatched() throws {
            let node = try NodeFixture()
            let manager = try Manager(node.directory)
            node.environment["NOTIFY_SOCKET"] = manager.path
            node.environment["WATCHDOG_USEC"] = "50000"
            node.environment["WATCHDOG_PID"] = "1"
            try node.start()
            #expect(manager.next().hasPrefix("READY=1"))
            #expect(try node.client().request("GET", "/livez").status == 200)
            #expect(try node.terminate() == .exited(0))
            #expect(manager.next() == "STOPPING=1")
        }

        @Test func completionsAndDescriptionsOfTheCommandsAreThere() throws {
            let node = try NodeFixture()
            for shell in ["bash", "zsh", "fish"] {
                let script = try node.run(["--generate-completion-script", shell])
                #expect(script.status == .exited(0) && script.output.contains("generate-jwt"), "\(shell)")
            }
            let pages = node.directory + "/man"
            let made = try ChildProcess.run(
                "/usr/bin/env",
                ["python3", RepositoryFiles.root + "/scripts/man_pages.py", try BuiltProgram.path("springg"), pages],
                environment: ["PATH": "/usr/bin:/bin:/usr/local/bin"],
                workingDirectory: node.directory
            )
            #expect(made.status == .exited(0), "\(made)")
            for page in ["springg", "springg-serve", "springg-bench", "springg-snapshot-create"] {
                #expect(Files.exists(pages + "/\(page).1"), "\(page)")
            }
        }
    }
}
