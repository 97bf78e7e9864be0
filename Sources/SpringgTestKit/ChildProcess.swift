import CTestKit
import Glibc

/// How a process ended.
public enum ProcessStatus: Sendable, Equatable {
    /// It left with this code.
    case exited(Int32)
    /// This signal ended it.
    case signalled(Int32)

    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7F
        self = signal == 0 ? .exited((waitStatus >> 8) & 0xFF) : .signalled(signal)
    }
}

/// A program started by a test.
///
/// Its end is seen without polling: the child alone holds the writing end of a pipe (the lifeline), which the kernel closes
/// when the process goes. It is always reaped, by its own process id only.
public final class ChildProcess {
    /// Process id; belongs to this process until `wait` has returned.
    public let pid: Int32
    /// Reading end of what the child writes to standard output and standard error; nil once handed over.
    private var output: Int32
    private let lifeline: Int32
    private var ended: ProcessStatus?

    /// Starts a program with nothing on its standard input and `environment` as its whole environment.
    ///
    /// Output and errors come through one pipe, unless a place for the reading end of a second one is given.
    public init(
        executable: String,
        arguments: [String],
        environment: [String: String],
        workingDirectory: String,
        separateErrorsInto errors: UnsafeMutablePointer<Int32>? = nil
    ) throws {
        let (outputRead, outputWrite) = try Self.pipe()
        let (lifelineRead, lifelineWrite) = try Self.pipe()
        defer {
            close(outputWrite)
            close(lifelineWrite)
        }
        var errorWrite = outputWrite
        if let errors {
            let pair = try Self.pipe()
            errors.pointee = pair.read
            errorWrite = pair.write
        }
        defer { if errors != nil { close(errorWrite) } }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, outputWrite, 1)
        posix_spawn_file_actions_adddup2(&actions, errorWrite, 2)
        // Every descriptor of ours is close-on-exec; this copy is not, and nobody else ever gets one.
        posix_spawn_file_actions_adddup2(&actions, lifelineWrite, 3)
        testkit_spawn_chdir(&actions, workingDirectory)

        // Signals blocked or ignored here must not be so in the child.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var process = pid_t()
        let result = Self.withCStrings([executable] + arguments) { argv in
            Self.withCStrings(environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }) { envp in
                posix_spawn(&process, executable, &actions, &attributes, argv, envp)
            }
        }
        guard result == 0 else {
            close(outputRead)
            close(lifelineRead)
            throw TestKitError.system("starting \(executable)", result)
        }
        pid = process
        output = outputRead
        lifeline = lifelineRead
    }

    deinit {
        if ended == nil {
            kill(pid, SIGKILL)
            reap()
        }
        if output >= 0 { close(output) }
        close(lifeline)
    }

    /// Hands over the reading end of the output; the caller closes it.
    public func takeOutput() -> Int32 {
        defer { output = -1 }
        return output
    }

    /// Sends a signal, unless the process has been reaped.
    public func send(signal: Int32) {
        if ended == nil { kill(pid, signal) }
    }

    /// True as long as the process has not ended.
    public var isRunning: Bool {
        guard ended == nil else { return false }
        var entry = pollfd(fd: lifeline, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) == 0
    }

    /// Waits for the end of the process and reaps it.
    public func wait(seconds: Double) throws -> ProcessStatus {
        if let ended { return ended }
        try Socket.wait(lifeline, for: Int32(POLLIN), until: Deadline(seconds: seconds), "waiting for process \(pid)")
        return reap()
    }

    @discardableResult
    private func reap() -> ProcessStatus {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let result = ProcessStatus(waitStatus: status)
        ended = result
        return result
    }

    private static func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard testkit_pipe(&ends) == 0 else { throw TestKitError.system("making a pipe") }
        return (ends[0], ends[1])
    }

    private static func withCStrings<R>(
        _ strings: [String],
        _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> R
    ) -> R {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("an array with an element has a base") }
            return body(base)
        }
    }
}

/// What a program that ran to its end left behind.
public struct CommandResult: Sendable, CustomStringConvertible {
    /// How it ended.
    public let status: ProcessStatus
    /// What it wrote to standard output.
    public let output: String
    /// What it wrote to standard error.
    public let errors: String

    /// All of it, for a failed expectation.
    public var description: String { "\(status)\n--- stdout\n\(output)\n--- stderr\n\(errors)" }
}

extension ChildProcess {
    /// Runs a program to its end and collects what it wrote.
    public static func run(
        _ executable: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        workingDirectory: String,
        timeoutSeconds: Double = 60
    ) throws -> CommandResult {
        var errorRead: Int32 = -1
        let child = try ChildProcess(
            executable: executable,
            arguments: arguments,
            environment: environment,
            workingDirectory: workingDirectory,
            separateErrorsInto: &errorRead
        )
        let outputRead = child.takeOutput()
        defer {
            close(outputRead)
            close(errorRead)
        }
        let deadline = Deadline(seconds: timeoutSeconds)
        var texts: [Int32: [UInt8]] = [outputRead: [], errorRead: []]
        var open: Set<Int32> = [outputRead, errorRead]
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while !open.isEmpty {
            var entries = open.sorted().map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            let count = poll(&entries, nfds_t(entries.count), deadline.pollMilliseconds)
            guard count > 0 || !deadline.isOver else {
                let command = ([executable] + arguments).joined(separator: " ")
                throw TestKitError("\(command) did not end in \(timeoutSeconds) s")
            }
            for entry in entries where entry.revents != 0 {
                let got = read(entry.fd, &piece, piece.count)
                if got > 0 { texts[entry.fd, default: []] += piece[..<got] } else { open.remove(entry.fd) }
            }
        }
        let status = try child.wait(seconds: max(1, Double(deadline.pollMilliseconds) / 1000))
        return CommandResult(
            status: status,
            output: String(decoding: texts[outputRead] ?? [], as: UTF8.self),
            errors: String(decoding: texts[errorRead] ?? [], as: UTF8.self)
        )
    }
}
