import ArgumentParser
import Glibc
import SpringgCluster
import SpringgConfiguration
import SpringgNet

/// Shows and changes who is in the cluster: `springg cluster`.
struct ClusterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Show the cluster as a node sees it, and change who is in it.",
        discussion: """
            All of these ask the node that runs by the same configuration, or with --node another one; the secret must be \
            the cluster's.

            Examples:
              springg cluster status
              springg cluster members --json
              springg cluster forget i-0abc123             it is gone and will not come back
              springg cluster join 10.0.1.67:7946
              springg cluster leave                        this node will not come back
              springg cluster readmit                      this node was forgotten by mistake
              springg cluster diff i-0abc123 i-0def456     the rows of which two nodes show different things

            Exit codes: 0 fine, 1 failure, 2 wrong usage, 6 nodes that differ.
            """,
        subcommands: [Status.self, Members.self, Forget.self, Join.self, Leave.self, Readmit.self, ClusterDiff.self]
    )

    /// What all of them need to reach a node.
    struct Options: ParsableArguments {
        @Option(
            help: ArgumentHelp(
                "Ask the node at this address of its API, https://HOST:PORT too.",
                valueName: "host:port"
            )
        )
        var node: String?

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var file: ConfigurationFileOption
        @OptionGroup(title: "Settings (as for springg serve)") var flags: ConfigurationFlags

        func settings() throws -> Configuration {
            try Configuration.load(explicitFile: file.file, flags: flags.given())
        }

        /// The node that is asked.
        func running() throws -> RunningNode {
            let settings = try settings()
            guard let node else {
                return RunningNode(settings, advice: "start it, or name another node with --node HOST:PORT")
            }
            return try Self.node(at: node, settings)
        }

        static func node(at text: String, _ settings: Configuration) throws -> RunningNode {
            guard let url = NodeURL(text, settings) else {
                throw ValidationError("\(text) is no address: give HOST:PORT or https://HOST:PORT")
            }
            return RunningNode(url, settings, advice: "is it running, and does its API listen there?")
        }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status",
            abstract: "Who is there, how far each has got, and whether all show the same.",
            discussion: """
                LAG is how many events the asked node holds that the member has not announced yet, LEAD the other way \
                round; both are as old as the announcements, about a second. DIGEST compares what nodes show that hold \
                the same events: "differ" is a defect, and the last lines say in which buckets of ids, and how to list the \
                rows. A node that lacks events that the logs of the others no longer have has to be started on an empty \
                data directory.

                Exit codes: 0 fine, 1 failure, 2 wrong usage, 6 nodes that differ, or one that lacks what no log has any more.

                Examples:
                  springg cluster status
                  springg cluster status --node 10.0.1.67:8080 --json
                """
        )
        @OptionGroup var options: Options

        func run() throws {
            let status = try options.running().send("GET", "/internal/cluster/status")
            let peers = ClusterPeers(status)
            if options.json {
                Output.standardOutput(status.text() + "\n")
            } else {
                Output.standardOutput(peers.table + peers.summary(status))
            }
            if peers.hasFindings { ExitStatus.findings.exit() }
        }
    }

    struct Members: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "members",
            abstract: "Who counts as a member, there or not.",
            discussion: """
                A member is who was ever seen and has not been forgotten. Majorities (ack=quorum) are of these, and \
                tombstones are kept until all of these have seen them.

                Exit codes: 0 fine, 1 failure, 2 wrong usage.

                Examples:
                  springg cluster members
                  springg cluster members --json
                """
        )
        @OptionGroup var options: Options

        func run() throws {
            let status = try options.running().send("GET", "/internal/cluster/status")
            guard case .object(let fields) = status, case .array(let names)? = fields["members"] else {
                throw CommandFailure("the node looks for no others", advice: "start it with --cluster-enabled true")
            }
            if options.json { return Output.standardOutput(JSONValue.array(names).text() + "\n") }
            let peers = ClusterPeers(status)
            for case .string(let name) in names {
                let row = peers.rows.first { $0.name == name }
                Output.standardOutput("\(name)  \(row?.status ?? "away")\n")
            }
        }
    }

    struct Forget: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "forget",
            abstract: "A member is gone and will not come back.",
            discussion: """
                Majorities are counted without it from now on, and tombstones wait for it no longer. The other nodes hear \
                of it within seconds. A node that comes back nevertheless is a member again, with what it has missed, \
                unless it has writes that nobody else has: it says so then, and waits for `springg cluster readmit`.

                Exit codes: 0 fine, 1 failure, 2 wrong usage.

                Example:
                  springg cluster forget i-0abc123
                """
        )
        @Argument(help: "The name of the member.") var node: String
        @OptionGroup var options: Options

        func run() throws {
            let body = JSONValue.object(["node": .string(node)])
            let answer = try options.running().send("POST", "/internal/cluster/forget", body: body)
            Output.standardOutput(options.json ? answer.text() + "\n" : "\(node) is no member any more\n")
        }
    }

    struct Join: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "join",
            abstract: "Look for nodes at an address, too.",
            discussion: """
                As if the address were one of cluster_seeds, until the node is restarted. Success says that the node looks \
                there, not that it has found anybody: that is what `springg cluster status` shows.

                Exit codes: 0 fine, 1 failure, 2 wrong usage.

                Examples:
                  springg cluster join 10.0.1.67
                  springg cluster join node-3.example.com:7946
                """
        )
        @Argument(help: "Name or address of gossip, with its port if that is not 7946.") var address: String
        @OptionGroup var options: Options

        func run() throws {
            let body = JSONValue.object(["address": .string(address)])
            let answer = try options.running().send("POST", "/internal/cluster/join", body: body)
            Output.standardOutput(options.json ? answer.text() + "\n" : "looking for nodes at \(address)\n")
        }
    }

    struct Readmit: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "readmit",
            abstract: "This node was forgotten by mistake: it is a member again.",
            discussion: """
                A node that was forgotten joins again by itself when the members hold all that it holds. One that has \
                writes of its own stays out until it is told this, on itself: its writes then go to the others. Those \
                that are older than deletions which the others have dropped (tombstone_grace) they refuse, and name.

                Exit codes: 0 fine, 1 failure, 2 wrong usage.

                Example:
                  springg cluster readmit --node 10.0.1.67:8080
                """
        )
        @OptionGroup var options: Options

        func run() throws {
            let answer = try options.running().send("POST", "/internal/cluster/readmit")
            Output.standardOutput(options.json ? answer.text() + "\n" : "it is a member again\n")
        }
    }

    struct Leave: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "leave",
            abstract: "This node leaves for good.",
            discussion: """
                It says goodbye, and the others forget it as a member. It goes on serving alone, so that what only it has \
                can be looked at; stop it then. A node that is only restarted needs nothing: it leaves and comes back by \
                itself, and stays a member meanwhile.

                Exit codes: 0 fine, 1 failure, 2 wrong usage.

                Example:
                  springg cluster leave && systemctl disable --now springg
                """
        )
        @OptionGroup var options: Options

        func run() throws {
            let settings = try options.settings()
            let node = try options.running()
            let status = try node.send("GET", "/internal/cluster/status")
            let peers = ClusterPeers(status)
            let answer = try node.send("POST", "/internal/cluster/leave")
            let others = peers.rows.filter { $0.name != peers.asked && $0.status == "alive" && $0.port > 0 }
            var failure: (any Error)?
            for other in others {
                do {
                    try Self.forget(peers.asked, on: Options.node(at: other.api, settings))
                    failure = nil
                    break
                } catch {
                    failure = error
                }
            }
            if let failure = failure as? CommandFailure {
                throw CommandFailure(
                    "\(peers.asked) has left, but nobody was told to forget it: \(failure.message)",
                    advice: "run springg cluster forget \(peers.asked) on another node"
                )
            }
            Output.standardOutput(options.json ? answer.text() + "\n" : "\(peers.asked) has left\n")
        }

        /// Who has left may be seen for some seconds yet.
        private static func forget(_ name: String, on node: RunningNode) throws {
            let body = JSONValue.object(["node": .string(name)])
            for attempt in 1...attemptsMax {
                do {
                    _ = try node.send("POST", "/internal/cluster/forget", body: body)
                    return
                } catch let failure as CommandFailure where failure.message.contains("is alive") {
                    guard attempt < attemptsMax else { throw failure }
                    usleep(250_000)
                }
            }
        }

        /// Ten seconds: a farewell takes one.
        private static let attemptsMax = 40
    }
}
