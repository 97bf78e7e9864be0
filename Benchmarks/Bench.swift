import ArgumentParser
import Glibc
import SpringgTestKit

@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure Springg beside the machine's own limits.",
        subcommands: [MeasureCommand.self, DataCommand.self, WorkerCommand.self],
        defaultSubcommand: MeasureCommand.self
    )
}

/// Measures Springg on this machine and shows every goal beside its figure, and the machine's own limits beside both.
///
/// It reports and does not judge: the exit code is 0 whatever the figures say.
struct MeasureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "measure",
        abstract: "Run sections of the benchmark; what is done without a command.",
        discussion: """
            Sections: machine, adds, search, graph, json, endpoints, replay, rebuild, and, which run only when they are named, http, \
            rest-search, search-under-writes, churn, snapshot, replication, catch-up, \
            bootstrap, overload and soak. Without a name about two minutes on two cores. Run it on a machine that does \
            nothing else, or read the figures per processor time first.

            Examples:
              bench
              bench --section adds --vectors 20000
              bench --section machine --section search --json
              bench --section rest-search --section search-under-writes --embeddings DIRECTORY
            """
    )

    @Option(help: "A section to run; may be given again. Without it: those that take seconds.")
    var section: [Section] = []

    @Option(help: "Vectors that the adds section adds with each number of connections.")
    var vectors = 50_000

    @Option(help: "Numbers of connections for the adds section, separated by commas.")
    var connections = "16,64"

    @Option(help: "Where to put the data: its disk is the one measured. Default: beside the program.")
    var directory: String?

    @Option(help: "Directory of the real embeddings, laid out as Fixtures, which is the default.")
    var embeddings: String?

    @Option(help: "Rows of the set that the rest-search section makes, and that a node misses in the catch-up section.")
    var rows = 100_000

    @Option(help: "Minutes of the soak section.")
    var minutes = 20.0

    @Option(help: "How many times its usual pace the soak section's load has.")
    var pace = 1.0

    @Option(help: "Seed of the random vectors.")
    var seed: UInt64 = 1

    @Flag(help: "Print one JSON object instead of the table.")
    var json = false

    enum Section: String, CaseIterable, ExpressibleByArgument {
        case machine, adds, search, graph, json, endpoints, replay, rebuild, http
        case restSearch = "rest-search"
        case searchUnderWrites = "search-under-writes"
        case catchUp = "catch-up"
        case churn, snapshot, replication, bootstrap, overload, soak

        /// What runs when nothing is named.
        static let short: [Section] = [.machine, .adds, .search, .graph, .json, .endpoints, .replay, .rebuild]
    }

    func run() throws {
        let settings = Settings(
            vectors: vectors,
            connections: connections.split(separator: ",").compactMap { Int($0) },
            directory: try directory ?? Self.programDirectory(),
            seed: seed,
            embeddings: embeddings ?? "Fixtures",
            madeRows: rows,
            minutes: minutes,
            pace: pace
        )
        var report = Report()
        for section in section.isEmpty ? Section.short : section {
            progress("measuring: \(section.rawValue)")
            let result: SectionReport =
                switch section {
                case .machine: try MachineSection.measure(settings)
                case .adds: try AddsSection.measure(settings)
                case .search: try SearchSection.measure(settings)
                case .graph: try GraphSection.measure(settings)
                case .json: JSONSection.measure(settings)
                case .endpoints: try EndpointsSection.measure(settings)
                case .overload: try OverloadSection.measure(settings)
                case .soak: try SoakSection.measure(settings)
                case .http: try HTTPSection.measure(settings)
                case .replay: try ReplaySection.measure(settings)
                case .rebuild: try RebuildSection.measure(settings)
                case .restSearch: try RESTSearchSection.measure(settings)
                case .searchUnderWrites: try SearchUnderWritesSection.measure(settings)
                case .churn: try ChurnSection.measure(settings)
                case .snapshot: try SnapshotSection.measure(settings)
                case .replication: try ReplicationSection.measure(settings)
                case .catchUp: try ReplicationSection.measureCatchUp(settings)
                case .bootstrap: try BootstrapSection.measure(settings)
                }
            report.sections.append(result)
            // One section after the other, so that a long run shows something early.
            if !json {
                print(result.text)
                fflush(nil)
            }
        }
        if json { print(report.json) } else { print(report.verdict) }
    }

    private static func programDirectory() throws -> String {
        let program = try BuiltProgram.path("springg")
        return String(program[..<(program.lastIndex(of: "/") ?? program.startIndex)])
    }
}

/// What every section needs to know.
struct Settings {
    let vectors: Int
    let connections: [Int]
    let directory: String
    let seed: UInt64
    let embeddings: String
    let madeRows: Int
    let minutes: Double
    let pace: Double

    /// Dimensions of the vectors in all sections.
    static let dimensions = 1024
}
