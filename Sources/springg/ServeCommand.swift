import ArgumentParser
import Glibc
import Logging
import SpringgArchive
import SpringgConfiguration

/// Starts the server: `springg serve`.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Start the server.",
        discussion: """
            Opens the database (its log is read back first), then listens. One line on standard output says that the \
            server is ready; the log goes to standard error.

            SIGTERM or Ctrl-C stops it in good order: no new connections, running requests get shutdown_grace to \
            finish, the log is synced and closed. A second one ends it at once; nothing acknowledged is lost either \
            way.

            Every setting is a flag here, a variable (SPRINGG_ and the key in capitals: SPRINGG_DATA_PATH) and a key of \
            the file; a flag wins over a variable, that over the file.

            Exit codes: 0 stopped in good order, 1 failure, 2 wrong usage.

            Examples:
              springg serve
              springg serve --port 9000 --data-path /var/lib/springg
              SPRINGG_LOG_FORMAT=json springg serve --config /etc/springg/springg.json
              springg serve --require-jwt false --bind-address 127.0.0.1

            With --read-only or --as-of it shows a data directory as it is now, or as it was at a moment, beside the \
            server that runs on it and without touching it: the state is read into memory once, every write is \
            answered 403. --as-of takes \(RestoreTarget.rule).

              springg serve --as-of 2026-11-22T09:00:00Z --read-only --port 8081 --data-path /var/lib/springg
            """
    )

    @Option(help: ArgumentHelp("Show the past as of this moment.", valueName: "moment"))
    var asOf: String?

    @Flag(help: "Take no writes, and leave the data directory to the server that runs on it.")
    var readOnly = false

    @Option(help: ArgumentHelp("With --as-of: snapshots for what the log no longer holds.", valueName: "store"))
    var snapshots: String?

    @OptionGroup var file: ConfigurationFileOption
    @OptionGroup(title: "Settings") var flags: ConfigurationFlags

    func validate() throws {
        guard let asOf else { return }
        if RestoreTarget(asOf) == nil {
            throw ValidationError("--as-of \(asOf) is no moment: give \(RestoreTarget.rule)")
        }
    }

    /// Nil for a server that reads and writes.
    private var past: PastView? {
        guard let target = asOf.map({ RestoreTarget($0) }) ?? (readOnly ? .latest : nil) else { return nil }
        return PastView(target: target, snapshots: snapshots)
    }

    func run() throws {
        // First of all, and on the first thread: every later thread inherits the mask, so only the watch sees signals.
        let signals = SignalWatch.start()
        let settings = try Configuration.load(explicitFile: file.file, flags: flags.given())
        try settings.requireGoodSecret()
        let logger = Logger(settings: settings)
        Self.raiseDescriptorLimit(for: settings, logger: logger)

        let node = try Node.start(settings, logger: logger, past: past)
        signals.beginServing()
        ServiceManager.notify("READY=1\nSTATUS=Serving on \(node.url)")
        ServiceManager.watch(node.server)
        Output.standardOutput("Springg is ready on \(node.url)\n")

        let signal = signals.waitForFirst()
        logger.info("Stopping", metadata: ["signal": "\(SignalWatch.name(of: signal))"])
        ServiceManager.notify("STOPPING=1")
        signals.exitUnlessDone(within: settings[Keys.shutdownGrace].seconds + Self.closeSeconds, logger: logger)
        node.stop()
        logger.info("Stopped")
    }

    /// Time for the last sync and for closing, after the requests' time is over.
    ///
    /// With the default grace of 8 s the program is gone within 10 s, before a service manager loses its patience.
    private static let closeSeconds = 1.8

    /// Descriptors beside the connections: log segments, event loops, standard streams.
    private static let descriptorsBesideConnections = 256

    /// Connections are descriptors, and the usual soft limit of 1024 is less than `max_connections`.
    private static func raiseDescriptorLimit(for settings: Configuration, logger: Logger) {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else { return }
        let connections = settings[Keys.maxConnections] == 0 ? 65_536 : settings[Keys.maxConnections]
        let wanted = rlim_t(connections + descriptorsBesideConnections)
        if limit.rlim_cur < wanted {
            limit.rlim_cur = min(wanted, limit.rlim_max)
            _ = setrlimit(resource, &limit)
        }
        guard limit.rlim_cur < wanted, settings[Keys.maxConnections] != 0 else { return }
        logger.warning(
            "This process may open fewer files than max_connections needs: raise its hard limit (LimitNOFILE, ulimit -n)",
            metadata: ["limit": "\(limit.rlim_cur)", "wanted": "\(wanted)"]
        )
    }
}
