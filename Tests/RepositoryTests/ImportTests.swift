import Testing

@Suite(
    "Imports run one way: springg, logdump → SpringgNet, SpringgTransfer → SpringgArchive → SpringgProjections → SpringgLog → C"
)
struct ImportTests {
    static let system: Set = ["Glibc", "Musl", "Synchronization"]
    static let nio: Set = ["NIOCore", "NIOPosix", "NIOHTTP1", "NIOConcurrencyHelpers"]
    static let foundation: Set = ["Foundation", "FoundationEssentials"]

    /// Directory → the modules that its files may import.
    static let allowed: [(directory: String, modules: Set<String>)] = [
        ("Sources/SpringgLog", system.union(["CSpringg"])),
        ("Sources/SpringgProjections", system.union(["CSpringg", "SpringgLog"])),
        ("Sources/SpringgTransfer", system.union(["CSpringg", "SpringgLog", "SpringgProjections"])),
        (
            "Sources/SpringgArchive",
            system.union([
                "CSpringg", "CZstd", "CCurl", "COpenSSL", "SpringgConfiguration", "SpringgLog", "SpringgProjections",
            ])
        ),
        ("Sources/SpringgCluster", system.union(["CSpringg", "COpenSSL", "SpringgLog"])),
        (
            "Sources/SpringgNet",
            system.union(nio).union(foundation).union([
                "CSpringg", "CSpringgPages", "COpenSSL", "Dispatch", "Logging", "SpringgArchive", "SpringgCluster",
                "SpringgLog", "SpringgProjections",
            ])
        ),
        ("Sources/SpringgConfiguration", ["CSpringg"]),
        (
            "Sources/springg",
            system.union(foundation).union([
                "ArgumentParser", "CSpringgBuild", "Dispatch", "Logging", "SpringgArchive", "SpringgCluster",
                "SpringgConfiguration", "SpringgLog", "SpringgNet", "SpringgProjections", "SpringgTransfer",
            ])
        ),
        (
            "tools/logdump",
            system.union([
                "ArgumentParser", "CSpringgBuild", "LogTools", "SpringgArchive", "SpringgLog", "SpringgProjections",
            ])
        ),
        ("Sources/LogTools", system.union(["CSpringg", "CZstd", "SpringgLog", "SpringgProjections"])),
    ]

    @Test("each target imports what stands to its right only", arguments: allowed)
    func direction(directory: String, modules: Set<String>) throws {
        let files = try Repository.files(in: directory, suffix: ".swift")
        #expect(!files.isEmpty)
        for file in files {
            for (number, line) in file.lines.enumerated() {
                guard let module = importedModule(line) else { continue }
                #expect(modules.contains(module), "\(file.path):\(number + 1) imports \(module)")
            }
        }
    }

    @Test("all forms of an import are seen")
    func forms() {
        #expect(importedModule("import Glibc") == "Glibc")
        #expect(importedModule("public import SpringgLog") == "SpringgLog")
        #expect(importedModule("@_exported internal import NIOCore") == "NIOCore")
        #expect(importedModule("import struct Foundation.Data") == "Foundation")
        #expect(importedModule("    import Glibc  // for write") == "Glibc")
        #expect(importedModule("// import Foundation") == nil)
        #expect(importedModule("let important = 1") == nil)
        #expect(importedModule("important import thing") == nil)
    }

    /// The module that a line imports, or nil.
    private func importedModule(_ line: Substring) -> String? {
        let words = line.prefix { $0 != "/" }.split(separator: " ")
        guard let position = words.firstIndex(of: "import"), position + 1 < words.count else { return nil }
        let modifiers: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
        guard words[..<position].allSatisfy({ modifiers.contains($0) || $0.hasPrefix("@") }) else { return nil }
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "let", "var", "typealias"]
        let name = kinds.contains(words[position + 1]) ? words.last ?? "" : words[position + 1]
        return name.split(separator: ".").first.map(String.init)
    }
}
