import Glibc
import Synchronization

/// Where the programs under test were built.
public enum BuiltProgram {
    /// Path of a program: the environment's `SPRINGG_BINARY` (or `LOGDUMP_BINARY`), else beside the running executable.
    public static func path(_ name: String) throws -> String {
        if let given = getenv(name.uppercased() + "_BINARY") { return String(cString: given) }
        var own = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &own, own.count)
        guard length > 0 else { throw TestKitError.system("reading /proc/self/exe") }
        let text = String(decoding: own[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let slash = text.lastIndex(of: "/") else { throw TestKitError("no directory in \(text)") }
        let path = text[...slash] + name
        guard Files.exists(String(path)) else { throw TestKitError("\(path) is not there: build it first") }
        return String(path)
    }
}

/// A real node in a process of its own, on a free port of the loopback, in a directory of its own.
///
/// The directory outlives the process, so that a test can kill the node and start it again on what it left.
public final class NodeFixture {
    /// Flags of `springg serve` by name without the dashes; one that takes no value has an empty one.
    public var flags: [String: String]
    /// The node's environment.
    public var environment: [String: String]
    /// Home, working directory and parent of the data directory.
    public let directory: String
    /// Port of the last start.
    public private(set) var port = 0
    /// Address at which it serves.
    public var host: String { flags["bind-address"].flatMap { $0 == "0.0.0.0" ? nil : $0 } ?? "127.0.0.1" }
    /// Process id of the last start.
    public private(set) var pid: Int32 = 0

    /// Where it runs; nil for this machine.
    package let machine: Machine?

    private let program: String
    private let temporary: TemporaryDirectory
    private var process: ChildProcess?
    private var drain: WorkerThread?
    private let lines = LogBuffer()

    /// A node that is not running yet, in a new directory (below `place`, when it matters which disk that is on).
    ///
    /// `flags` are added to, and win over, those that every test wants: a free port of 127.0.0.1 (chosen anew at each
    /// start), no token, no rate limit, no cluster.
    public convenience init(flags: [String: String] = [:], place: String? = nil) throws {
        try self.init(flags: flags, place: place, on: nil)
    }

    /// The same on a machine of a test's network, on its loopback unless the flags say otherwise.
    package init(flags: [String: String] = [:], place: String? = nil, on machine: Machine?) throws {
        self.machine = machine
        program = try BuiltProgram.path("springg")
        temporary = try TemporaryDirectory(in: place)
        directory = temporary.path
        environment = ["HOME": directory, "PATH": "/usr/bin:/bin"]
        self.flags = [
            "bind-address": "127.0.0.1", "data-path": directory + "/data", "require-jwt": "false",
            "rate-limit-per-second": "0", "cluster-enabled": "false",
        ].merging(flags) { $1 }
    }

    deinit {
        stop()
    }

    /// The data directory.
    public var dataPath: String { flags["data-path"] ?? directory + "/data" }

    /// Everything the node has written to standard output and error, over all its starts.
    public var log: String { lines.text }

    /// True between `start` and the end of the process.
    public var isRunning: Bool { process?.isRunning ?? false }

    /// Starts the node and waits until it says that it is ready.
    ///
    /// - Returns: Seconds from the start of the process to the ready line.
    /// - Throws: When the node leaves instead, or is not ready in time; the error carries its log.
    @discardableResult
    public func start(timeoutSeconds: Double = 60) throws -> Double {
        let deadline = Deadline(seconds: timeoutSeconds)
        for _ in 1..<Self.portAttemptsMax {
            // Between choosing a port and listening on it another program may have taken it: then another one is chosen.
            do { return try startOnce(deadline) } catch  where "\(error)".contains("cannot listen") {}
        }
        return try startOnce(deadline)
    }

    private static let portAttemptsMax = 5

    private func startOnce(_ deadline: Deadline) throws -> Double {
        stop()
        let began = Monotonic.nanoseconds()
        let child = try onItsMachine {
            try ChildProcess(
                executable: program,
                arguments: try serveArguments(),
                environment: environment,
                workingDirectory: directory
            )
        }
        process = child
        pid = child.pid
        let output = child.takeOutput()
        let before = lines.count
        do {
            port = try awaitReady(output, from: before, deadline)
        } catch {
            stop()
            close(output)
            throw TestKitError("\(error); the node said:\n\(lines.text(from: before))")
        }
        let seconds = Double(Monotonic.nanoseconds() - began) / 1e9
        // From here on somebody must keep reading, or the node would block on a full pipe.
        let lines = lines
        drain = try WorkerThread {
            while lines.readMore(output) {}
            close(output)
        }
        return seconds
    }

    /// Runs `springg serve` with the flags, expecting it to leave by itself.
    public func startExpectingExit(timeoutSeconds: Double = 30) throws -> CommandResult {
        try onItsMachine {
            try ChildProcess.run(
                program,
                try serveArguments(),
                environment: environment,
                workingDirectory: directory,
                timeoutSeconds: timeoutSeconds
            )
        }
    }

    /// Runs another command of the program in the node's directory and environment.
    public func run(_ arguments: [String], environment extra: [String: String] = [:]) throws -> CommandResult {
        try onItsMachine {
            try ChildProcess.run(
                program,
                arguments,
                environment: environment.merging(extra) { $1 },
                workingDirectory: directory
            )
        }
    }

    private func onItsMachine<Result>(_ body: () throws -> Result) throws -> Result {
        try machine?.run(body) ?? body()
    }

    private func serveArguments() throws -> [String] {
        var flags = flags
        if flags["port"] == nil { flags["port"] = String(try Socket.freePort()) }
        if flags["cluster-bind-port"] == nil { flags["cluster-bind-port"] = String(try Socket.freePort()) }
        return ["serve"]
            + flags.sorted { $0.key < $1.key }.flatMap {
                $0.value.isEmpty ? ["--" + $0.key] : ["--" + $0.key, $0.value]
            }
    }

    /// A client of the running node.
    public func client(token: String? = nil, timeoutSeconds: Double = 30) -> HTTPClient {
        HTTPClient(
            port: port,
            host: host,
            headers: token.map { [(name: "Authorization", value: "Bearer \($0)")] } ?? [],
            timeoutSeconds: timeoutSeconds,
            on: machine
        )
    }

    /// Sends SIGKILL without waiting, as a crash of the process would come.
    public func crash() {
        process?.send(signal: SIGKILL)
    }

    /// Sends a signal without waiting.
    public func send(signal: Int32) {
        process?.send(signal: signal)
    }

    /// Sends SIGKILL and waits for the end.
    public func kill() throws {
        crash()
        try waitForExit(seconds: 10)
    }

    /// Sends SIGTERM and waits for the end.
    @discardableResult
    public func terminate(timeoutSeconds: Double = 15) throws -> ProcessStatus {
        send(signal: SIGTERM)
        return try waitForExit(seconds: timeoutSeconds)
    }

    /// Waits for the end of the process and of its output.
    @discardableResult
    public func waitForExit(seconds: Double) throws -> ProcessStatus {
        guard let process else { throw TestKitError("the node was not started") }
        let status = try process.wait(seconds: seconds)
        drain?.join()
        drain = nil
        self.process = nil
        return status
    }

    /// What the running process has used.
    public func usage() throws -> ProcessUsage { try ProcessUsage(pid: pid) }

    private func stop() {
        process?.send(signal: SIGKILL)
        _ = try? process?.wait(seconds: 10)
        drain?.join()
        drain = nil
        process = nil
    }

    /// Reads the node's output until the line "… ready on http://HOST:PORT", or https.
    private func awaitReady(_ output: Int32, from start: Int, _ deadline: Deadline) throws -> Int {
        while true {
            if let port = Self.readyPort(in: lines.text(from: start)) { return port }
            try Socket.wait(output, for: Int32(POLLIN), until: deadline, "waiting for the ready line")
            guard lines.readMore(output) else {
                let status = try process?.wait(seconds: 5)
                throw TestKitError("the node left before it was ready: \(status.map { "\($0)" } ?? "?")")
            }
        }
    }

    /// The port of the ready line, once that line is complete.
    static func readyPort(in log: String) -> Int? {
        for line in log.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            guard line.contains("ready on "), let scheme = line.range(of: "://") else { continue }
            let address = line[scheme.upperBound...]
            guard let colon = address.firstIndex(of: ":") else { continue }
            if let port = Int(address[address.index(after: colon)...].prefix { $0.isNumber }) { return port }
        }
        return nil
    }
}

/// What a node has written, appended by one thread and read by others.
private final class LogBuffer: Sendable {
    private let bytes = Mutex<[UInt8]>([])

    var count: Int { bytes.withLock { $0.count } }
    var text: String { text(from: 0) }

    func text(from start: Int) -> String {
        bytes.withLock { String(decoding: $0[start...], as: UTF8.self) }
    }

    /// Reads once; false at the end.
    func readMore(_ descriptor: Int32) -> Bool {
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        var got = 0
        repeat { got = read(descriptor, &piece, piece.count) } while got < 0 && errno == EINTR
        guard got > 0 else { return false }
        bytes.withLock { $0 += piece[..<got] }
        return true
    }
}

extension StringProtocol {
    /// The first place of a text within this one.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start != endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
