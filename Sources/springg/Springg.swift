import ArgumentParser

/// The root of the command line: finds the command, runs it, turns what it throws into text and exit code.
@main
struct Springg: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "springg",
        abstract: "A vector database server: durable writes, fast search, plain REST.",
        discussion: """
            First steps:
              springg init                        write ./springg.json with a fresh secret
              springg serve                       start the server
              TOKEN=$(springg generate-jwt)       make a token for the API
              curl -H "Authorization: Bearer $TOKEN" http://localhost:8080/api/indexes

            Exit codes: 0 fine, 1 failure, 2 wrong usage, 6 damage or flaws in what was looked at.
            """,
        version: BuildInformation.text,
        subcommands: [
            ServeCommand.self, GenerateJWTCommand.self, InitCommand.self, ConfigCommand.self, ImportCommand.self,
            ExportCommand.self, BenchCommand.self, MarkCommand.self, SnapshotCommand.self, RestoreCommand.self,
            BackupsCommand.self, ClusterCommand.self, VersionCommand.self,
        ]
    )

    /// Replaces the parser's own main: its exit code for wrong usage is 64 and its errors begin with a capital.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            report(error)
        }
    }

    private static func report(_ error: any Error) -> Never {
        if let failure = error as? CommandFailure {
            Output.standardError("error: \(failure.message)\n" + (failure.advice.map { "  \($0)\n" } ?? ""))
            ExitStatus.failure.exit()
        }
        let text = fullMessage(for: error)
        switch exitCode(for: error) {
        case .success:  // Asked for help or version.
            Output.standardOutput(text + "\n")
            ExitStatus.success.exit()
        case .validationFailure:
            let isPrefixed = text.hasPrefix("Error: ")
            Output.standardError("error: " + (isPrefixed ? String(text.dropFirst(7)) : text) + "\n")
            ExitStatus.usage.exit()
        default:
            Output.standardError("error: \(error)\n")
            ExitStatus.failure.exit()
        }
    }
}
