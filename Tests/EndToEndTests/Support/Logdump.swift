import SpringgTestKit
import Testing

/// The audit tool, as an operator runs it.
enum Logdump {
    static func run(_ arguments: String...) throws -> CommandResult { try run(arguments) }

    static func run(_ arguments: [String]) throws -> CommandResult {
        try ChildProcess.run(
            BuiltProgram.path("logdump"),
            arguments,
            environment: ["PATH": "/usr/bin:/bin"],
            workingDirectory: "/"
        )
    }

    /// What a data directory holds, by the tool's own replay of the log.
    struct Digest: Equatable {
        /// Name of an index → its digest and its number of vectors.
        var indexes: [String: [String]]
        /// Of everything.
        var digest: String
    }

    static func digest(_ dataPath: String) throws -> Digest {
        let result = try run("digest", dataPath, "--json")
        try #require(result.status == .exited(0), "\(result)")
        let document = try JSONValue(text: result.output)
        var indexes: [String: [String]] = [:]
        for index in try #require(document["indexes"]?.array) {
            let name = try #require(index["name"]?.string)
            indexes[name] = [try #require(index["digest"]?.string), String(try #require(index["count"]?.int))]
        }
        return Digest(indexes: indexes, digest: try #require(document["digest"]?.string))
    }
}
