import ArgumentParser
import Glibc
import SpringgProjections
import SpringgTestKit

/// `bench data`: makes the vectors that other benchmarks read.
struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data",
        abstract: "Make a set of vectors with queries and their true neighbours, and print its directory.",
        discussion: """
            The same arguments give the same bytes on every machine. What is there already is not made again.

            Examples:
              bench data realistic
              bench data hard --rows 20000 --place /var/tmp
            """
    )

    @Argument(help: "realistic (as hard as embeddings of text) or hard (a mixture of isotropic clusters).")
    var kind: Kind

    @Option(help: "Rows of 1,024 dimensions.")
    var rows = 100_000

    @Option(help: "Seed of the set.")
    var seed: UInt64 = 1

    @Option(help: "Where to put the directory of the set.")
    var place = DataRecipe.place

    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case realistic, hard
    }

    func validate() throws {
        guard (1000...10_000_000).contains(rows) else { throw ValidationError("--rows must be 1,000 to 10,000,000") }
    }

    func run() throws {
        let recipe: DataRecipe =
            switch kind {
            case .realistic: .realistic(rows: rows, seed: seed)
            case .hard: .hard(rows: rows, seed: seed)
            }
        print(try recipe.make(in: place))
    }
}

/// `bench worker`: our side of the comparison with other libraries, told what to do line by line.
///
///     build OPTIONS                → {"write_seconds":…,"link_seconds":…,"memory_bytes":…,"row_bytes":…}
///     search EF THREADS FILE       → {"seconds":…}, and the answers in FILE: ten int32 a query
///
/// OPTIONS is the JSON of an index's options without blanks. The answers of a library are judged by the one who asked for them,
/// in the same way for all.
struct WorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Build and search by commands on standard input, for the comparison with other libraries.",
        shouldDisplay: false
    )

    @Argument(help: "Directory of the data set.")
    var data: String

    @Option(help: "Where to put the database.")
    var place = "."

    func run() throws {
        let data = try DataSet(directory: data)
        var graph: GraphDatabase?
        while let line = readLine() {
            let words = line.split(separator: " ")
            switch (words.first, words.count) {
            case ("known", 2):
                answer(#"{"known":\#(IndexOptions(json: Array(words[1].utf8)) != IndexOptions())}"#)
            case ("build", 2):
                graph = nil
                let built = try GraphDatabase(data, in: place, options: IndexOptions(json: Array(words[1].utf8)))
                graph = built
                let stats = built.index.stats
                answer(
                    #"{"write_seconds":\#(built.writeSeconds),"link_seconds":\#(built.linkSeconds),"#
                        + #""memory_bytes":\#(stats.memoryBytes),"row_bytes":\#(data.bytes)}"#
                )
            case ("search", 4):
                guard let graph, let ef = Int(words[1]), let threads = Int(words[2]) else { fallthrough }
                let pass = try graph.search(ef: ef, .hnsw, threads: threads)
                try pass.answers.withUnsafeBytes { try Matrix.write($0, String(words[3])) }
                answer(#"{"seconds":\#(pass.seconds)}"#)
            default:
                throw TestKitError("not understood: \(line)")
            }
        }
    }

    private func answer(_ text: String) {
        print(text)
        fflush(nil)
    }
}
