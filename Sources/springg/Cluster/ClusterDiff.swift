import ArgumentParser
import Glibc
import SpringgConfiguration
import SpringgNet

/// Which rows two nodes show differently: `springg cluster diff`.
struct ClusterDiff: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Which rows two nodes show differently.",
        discussion: """
            Compares the digest of each index, and of those that differ every row, in the order of ids and block by block. \
            Nodes are named as in springg cluster status, or by HOST:PORT of their API. While writes go on, rows that one \
            node has got and the other not yet are shown too: look again.

            Examples:
              springg cluster diff i-0abc123 i-0def456
              springg cluster diff 10.0.1.45:8080 10.0.1.67:8080 --json

            Exit codes: 0 no difference, 6 differences, which are listed.
            """
    )

    @Argument(help: "A node.") var first: String
    @Argument(help: "Another node.") var second: String
    @Option(help: "Rows to list at most, of each index.") var rows = 1000
    @OptionGroup var options: ClusterCommand.Options

    func validate() throws {
        if rows < 1 { throw ValidationError("--rows must be at least 1") }
    }

    func run() throws {
        let settings = try options.settings()
        // Both may be named by their addresses, so that the node by the configuration need not run.
        let known =
            first.contains(":") && second.contains(":")
            ? nil
            : ClusterPeers(
                try options.running().send("GET", "/internal/cluster/status")
            )
        let nodes = try [first, second].map { try node($0, known, settings) }
        let lists = try nodes.map { try $0.send("GET", "/internal/indexes") }
        let names = Set(lists.flatMap { Self.names($0) })
        var findings: [Difference] = []
        for index in names.sorted() {
            let missing = lists.firstIndex { !Self.names($0).contains(index) }
            if let missing {
                findings.append(Difference(index: index, id: nil, what: missing == 0 ? .onlySecond : .onlyFirst))
                continue
            }
            let digests = try nodes.map { try $0.send("GET", "/api/indexes/\(index)/stats").member("digest")?.string }
            guard digests[0] != digests[1] else { continue }
            let found = try RowComparison(index: index, nodes[0], nodes[1]).differences(max: rows)
            findings += found.isEmpty ? [Difference(index: index, id: nil, what: .versionsOnly)] : found
        }
        report(findings)
        if !findings.isEmpty { ExitStatus.findings.exit() }
    }

    private func node(_ name: String, _ known: ClusterPeers?, _ settings: Configuration) throws -> RunningNode {
        if let row = known?.rows.first(where: { $0.name == name }) {
            guard row.port > 0 else { throw CommandFailure("\(name) has not said where its API is") }
            return try ClusterCommand.Options.node(at: row.api, settings)
        }
        guard name.contains(":") else {
            throw CommandFailure("\(name) is no member", advice: "springg cluster status lists them")
        }
        return try ClusterCommand.Options.node(at: name, settings)
    }

    private static func names(_ list: JSONValue) -> [String] {
        guard case .array(let indexes) = list else { return [] }
        return indexes.compactMap { $0.member("name")?.string }
    }

    private func report(_ findings: [Difference]) {
        if options.json {
            let list = findings.map { $0.json(first, second) }
            Output.standardOutput(JSONValue.array(list).text() + "\n")
        } else if findings.isEmpty {
            Output.standardOutput("\(first) and \(second) show the same\n")
        } else {
            for finding in findings { Output.standardOutput(finding.line(first, second)) }
        }
    }
}

/// One thing that two nodes show differently.
struct Difference {
    enum What: String {
        case onlyFirst = "only_first"
        case onlySecond = "only_second"
        case content
        /// The rows are the same, and what they were written by is not.
        case versionsOnly = "versions_only"
    }

    let index: String
    /// Nil for the index as a whole.
    let id: String?
    let what: What

    func line(_ first: String, _ second: String) -> String {
        let subject = index + (id.map { " " + $0 } ?? "")
        return switch what {
        case .onlyFirst: "\(subject): on \(first) only\n"
        case .onlySecond: "\(subject): on \(second) only\n"
        case .content: "\(subject): not the same\n"
        case .versionsOnly: "\(subject): the same rows, written by different events (or the writes have just met)\n"
        }
    }

    func json(_ first: String, _ second: String) -> JSONValue {
        var members: [String: JSONValue] = ["index": .string(index), "difference": .string(what.rawValue)]
        if let id { members["id"] = .string(id) }
        switch what {
        case .onlyFirst: members["node"] = .string(first)
        case .onlySecond: members["node"] = .string(second)
        case .content, .versionsOnly: ()
        }
        return .object(members)
    }
}

/// The rows of one index on two nodes, both in the order of their ids.
struct RowComparison {
    private var left: RowReader
    private var right: RowReader
    private let index: String

    init(index: String, _ first: RunningNode, _ second: RunningNode) {
        self.index = index
        left = RowReader(first, index)
        right = RowReader(second, index)
    }

    func differences(max: Int) throws -> [Difference] {
        var (left, right) = (left, right)
        var found: [Difference] = []
        var (a, b) = (try left.next(), try right.next())
        while found.count < max, a != nil || b != nil {
            if let one = a, let other = b, one.id == other.id {
                if one.row != other.row { found.append(Difference(index: index, id: one.id, what: .content)) }
                (a, b) = (try left.next(), try right.next())
            } else if let one = a, b.map({ one.id.utf8.lexicographicallyPrecedes($0.id.utf8) }) ?? true {
                found.append(Difference(index: index, id: one.id, what: .onlyFirst))
                a = try left.next()
            } else if let other = b {
                found.append(Difference(index: index, id: other.id, what: .onlySecond))
                b = try right.next()
            }
        }
        return found
    }
}

/// One node's rows of an index, a block at a time.
private struct RowReader {
    private let node: RunningNode
    private let index: String
    private var block = 0
    private var rows: [JSONValue] = []
    private var position = 0
    private var isDone = false

    init(_ node: RunningNode, _ index: String) {
        (self.node, self.index) = (node, index)
    }

    mutating func next() throws -> (id: String, row: JSONValue)? {
        while position == rows.count {
            guard !isDone, let page = try self.page() else { return nil }
            (rows, position) = (page, 0)
        }
        defer { position += 1 }
        return rows[position].member("id")?.string.map { ($0, rows[position]) }
    }

    private mutating func page() throws -> [JSONValue]? {
        defer { block += 1 }
        do {
            let answer = try node.send("GET", "/internal/sync/\(index)/block/\(block)")
            guard case .array(let vectors)? = answer.member("vectors") else { return nil }
            isDone = vectors.isEmpty
            return vectors
        } catch let failure as CommandFailure where failure.message == "block index out of range" {
            isDone = true
            return nil
        }
    }
}

extension JSONValue {
    /// A member of an object.
    func member(_ name: String) -> JSONValue? { if case .object(let members) = self { members[name] } else { nil } }
}
