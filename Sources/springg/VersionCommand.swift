import ArgumentParser
import SpringgConfiguration

/// Shows which Springg this is: `springg version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Show version, build time and commit.",
        discussion: """
            Exit codes: 0 fine, 1 failure, 2 wrong usage.

            Examples:
              springg version
              springg version --json
            """
    )

    @Flag(help: "Print one JSON object instead of four lines.")
    var json = false

    func run() {
        guard json else {
            Output.standardOutput(BuildInformation.text + "\n")
            return
        }
        let object = JSONValue.object([
            "version": .string(BuildInformation.version),
            "build_time": .string(BuildInformation.buildTime),
            "git_commit": .string(BuildInformation.gitCommit),
        ])
        Output.standardOutput(object.text() + "\n")
    }
}
