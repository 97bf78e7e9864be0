import ArgumentParser
import Glibc
import SpringgLog

/// Reads logs; never changes them.
@main
struct Logdump: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logdump",
        abstract: "Shows and checks the log of a Springg data directory. Never changes anything.",
        discussion: """
            Output goes to stdout, complaints to stderr.
            Exit status: 0 fine, 1 the log could not be read, 2 usage, 6 something is wrong with the log.

            Examples:
              logdump verify /var/lib/springg            is every record readable and in its place?
              logdump show /var/lib/springg --limit 20   the first events
              logdump show DIR --from 1000 --json        one JSON object a line
              logdump digest DIR                         replays the log and prints the digest of its state
            """,
        subcommands: [Show.self, Verify.self, Digest.self]
    )

    /// Exit statuses beside 0.
    enum Status {
        static let unreadable = ExitCode(1)
        static let findings = ExitCode(6)
    }

    // Parse and run by hand: the parser's own exit status for wrong usage is 64, ours is 2 as everywhere else.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let error as ExitCode {
            Glibc.exit(error.rawValue)
        } catch let error as LogError {
            complain("error: \(error)")
            if case .corrupt = error { Glibc.exit(Status.findings.rawValue) }
            Glibc.exit(Status.unreadable.rawValue)
        } catch {
            let code = exitCode(for: error)
            if code == .success {
                print(fullMessage(for: error))
                Glibc.exit(0)
            }
            complain(fullMessage(for: error))
            Glibc.exit(code == .validationFailure ? 2 : code.rawValue)
        }
    }

    static func complain(_ text: String) {
        (text + "\n").withCString { _ = write(STDERR_FILENO, $0, strlen($0)) }
    }
}

/// Where the log is.
struct Source: ParsableArguments {
    @Argument(help: "A data directory, or the directory of the segments itself.")
    var directory: String

    /// The segments are in DIR/log of a data directory.
    func scan() throws(LogError) -> LogScan {
        let fileSystem = PosixFileSystem()
        let base = directory.hasSuffix("/") && directory.utf8.count > 1 ? String(directory.dropLast()) : directory
        let inside = LogScan(directory: base + "/log", fileSystem: fileSystem)
        if let segments = try? inside.segments(), !segments.isEmpty { return inside }
        let scan = LogScan(directory: base, fileSystem: fileSystem)
        guard try !scan.segments().isEmpty else {
            throw .io(FileSystemError(operation: "looking for log segments (*.seg) in", path: base, code: ENOENT))
        }
        return scan
    }
}
