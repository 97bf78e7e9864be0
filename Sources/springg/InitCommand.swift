import ArgumentParser
import Glibc
import SpringgConfiguration

/// Writes a configuration file: `springg init`.
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Write a configuration file with a fresh secret.",
        discussion: """
            The file is readable for you alone (mode 0600), for it holds the secret that signs tokens. A file that is \
            there already is left alone unless --force is given; its tokens end with its secret.

            Exit codes: 0 fine, 1 failure, 2 wrong usage.

            Examples:
              springg init
              springg init --path /etc/springg/springg.json
              springg init --force
            """
    )

    @Option(help: ArgumentHelp("Where to write.", valueName: "file"))
    var path = "./" + ConfigurationLoader.fileName

    @Flag(help: "Replace a file that is there.")
    var force = false

    func run() throws {
        // A name beside the target, then link or rename: the file appears whole or not at all, under its final mode.
        let draft = path + ".\(getpid()).tmp"
        try write(InitialConfiguration.text(secret: InitialConfiguration.freshSecret()), to: draft)
        defer { unlink(draft) }
        let result = force ? rename(draft, path) : link(draft, path)
        guard result == 0 else {
            if errno == EEXIST {
                throw CommandFailure(
                    "\(path) exists already",
                    advice: "choose another place with --path, or replace it with --force"
                )
            }
            throw failure("cannot write \(path)")
        }
        Output.standardOutput("Wrote \(path) with a fresh secret. Start the server: \(startCommand)\n")
    }

    private var startCommand: String {
        path == "./" + ConfigurationLoader.fileName ? "springg serve" : "springg serve --config \(path)"
    }

    private func write(_ text: String, to file: String) throws {
        let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("cannot write \(file)") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            let error = failure("cannot write \(file)")
            unlink(file)
            throw error
        }
    }

    private func failure(_ what: String) -> CommandFailure {
        CommandFailure(
            "\(what): \(String(cString: strerror(errno)))",
            advice: "check that the directory exists and may be written, or choose another with --path"
        )
    }
}
