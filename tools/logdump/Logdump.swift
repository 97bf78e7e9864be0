import ArgumentParser
import CSpringgBuild
import Glibc
import LogTools
import SpringgLog

/// Reads logs; never changes them.
@main
struct Logdump: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logdump",
        abstract: "Shows, checks and rescues the log of a Springg data directory. Never changes what it reads.",
        discussion: """
            LOG is a data directory (of a running node too), a directory of segments, one segment, an archive of frames, \
            either compressed with zstd, or - for standard input. Reading goes on past damage.

            Results go to stdout, complaints to stderr, progress to stderr when it is a terminal.
            Exit status: 0 fine, 1 failed, 2 wrong usage, 6 something is wrong with the log or differs.

            Examples:
              logdump verify /var/lib/springg              is every record readable and in its place?
              logdump show DIR --since 2h --index docs     what was written lately?
              logdump show DIR --follow --json             every event as it comes, as JSON lines
              logdump stats DIR                            events and bytes by kind, index, origin, hour
              logdump history DIR docs apple               every version of one row
              logdump salvage DIR --out DIR.salvaged       what can be read of a damaged log, as a new one
            """,
        version: """
            logdump of Springg Vector Database
            Version: \(String(cString: springg_version()))
            Build Time: \(String(cString: springg_build_time()))
            Git Commit: \(String(cString: springg_git_commit()))
            """,
        subcommands: [
            Show.self, Verify.self, Stats.self, History.self, Conflicts.self, Diff.self, Replay.self, Extract.self,
            Salvage.self, Digest.self,
        ]
    )

    /// Exit statuses beside 0.
    enum Status {
        static let failed = ExitCode(1)
        static let findings = ExitCode(6)
    }

    // Parse and run by hand: the parser's own exit status for wrong usage is 64, ours is 2 as everywhere else.
    static func main() {
        // A reader that has enough closes the pipe: an error of a write then, not the end by a signal.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            try command.run()
            Output.flush()
        } catch let error as ExitCode {
            Output.flush()
            Glibc.exit(error.rawValue)
        } catch let error as LogError {
            Output.flush()
            Progress.clear()
            Output.complain("error: \(error)")
            if case .corrupt = error { Glibc.exit(Status.findings.rawValue) }
            Glibc.exit(Status.failed.rawValue)
        } catch {
            Output.flush()
            Progress.clear()
            let code = exitCode(for: error)
            if code == .success {
                Output.line(fullMessage(for: error))
                Output.flush()
                Glibc.exit(0)
            }
            let text = fullMessage(for: error)
            Output.complain("error: " + (text.hasPrefix("Error: ") ? String(text.dropFirst(7)) : text))
            Glibc.exit(code == .validationFailure ? 2 : code.rawValue)
        }
    }
}

/// A failure with what to do about it.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
