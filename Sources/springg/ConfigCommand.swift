import ArgumentParser
import SpringgConfiguration

/// Shows the settings: `springg config`.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Show the settings in force and where each comes from.",
        discussion: """
            Reads what `springg serve` would read, with the same flags, and prints key, value and source (flag, \
            environment, file or default). The secret is masked.

            A flag wins over the environment (SPRINGG_ and the key in capitals), that over the file, that over the \
            default.

            Exit codes: 0 fine, 1 failure, 2 wrong usage.

            Examples:
              springg config
              springg config --json
              SPRINGG_PORT=9000 springg config --durability interval
              springg config --reference          every key explained, as Markdown
            """
    )

    @OptionGroup var file: ConfigurationFileOption

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(help: "Print the reference of all keys instead of the settings in force.")
    var reference = false

    @OptionGroup(title: "Settings (as for springg serve)") var flags: ConfigurationFlags

    func run() throws {
        guard !reference else {
            Output.standardOutput(Keys.reference())
            return
        }
        let settings = try Configuration.load(explicitFile: file.file, flags: flags.given())
        Output.standardOutput(json ? settings.reportJSON() : settings.report())
        for warning in settings.warnings { Output.standardError("warning: \(warning)\n") }
        do {
            try settings.checkSecret()
        } catch {
            Output.standardError("warning: springg serve would refuse this: \(error)\n  \(error.advice)\n")
        }
    }
}
