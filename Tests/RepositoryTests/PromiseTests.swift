import Foundation
import Testing

@Suite("What the repository promises to somebody who clones it")
struct PromiseTests {
    @Test("git ignores what is built, what is secret and what is resolved anew")
    func ignored() throws {
        let lines = try Repository.text(of: ".gitignore").split(separator: "\n").map(String.init)
        for wanted in [".build*", "Package.resolved", "/springg.json"] {
            #expect(lines.contains(wanted))
        }
    }

    @Test("make demo and make test set up and build by themselves")
    func makefile() throws {
        let text = try Repository.text(of: "Makefile")
        for target in [
            "setup", "build", "run", "demo", "demo-short", "test", "test-servers", "tsan", "asan", "bench",
            "bench-peers",
            "lint", "format", "clean",
        ] {
            #expect(text.contains("\n\(target):"), "the Makefile has no target \(target)")
        }
        #expect(text.contains("\nbuild: setup "))
        #expect(text.contains("\ndemo: build "))
        #expect(text.contains("\ntest: setup build test-servers "))
    }

    @Test("the check before a change runs set-up, lint, tests and the demo")
    func check() throws {
        let text = try Repository.text(of: ".ci/run")
        #expect(text.contains("set -euo pipefail"))
        for step in [
            "setup", "lint", "test", "check-api", "check-page", "check-install", "tsan", "asan", "demo-short",
        ] {
            #expect(text.contains("\nstep \(step)\n"))
        }
    }

    @Test("each test that is to run under ThreadSanitizer is there")
    func sanitized() throws {
        let line = try Repository.text(of: "Makefile").split(separator: "\n").first { $0.hasPrefix("TSAN_TESTS := ") }
        let names = try #require(line).dropFirst("TSAN_TESTS := ".count).split(separator: "|")
        let tests = try Repository.files(in: "Tests/SpringgProjectionsTests", suffix: ".swift")
        #expect(names.count >= 4)
        for name in names {
            let parts = name.split(separator: "/")
            let isThere = tests.contains { file in
                file.lines.contains { $0.hasPrefix("struct \(parts[0])") }
                    && (parts.count == 1 || file.lines.contains { $0.contains("func \(parts[1])(") })
            }
            #expect(isThere, "\(name) is no test")
        }
    }

    @Test("each limit that docs/design/testing.md lists is reached by a test that is there")
    func limits() throws {
        let lines = try Repository.text(of: "docs/design/testing.md").split(separator: "\n")
        let start = try #require(lines.firstIndex(of: "## Limits"))
        let rows = lines[start...].dropFirst().prefix { !$0.hasPrefix("## ") }.filter { $0.hasPrefix("| ") }.dropFirst(
            2
        )
        #expect(rows.count >= 18)
        let files = try ["SpringgNetTests", "EndToEndTests", "SpringgProjectionsTests"].flatMap {
            try Repository.files(in: "Tests/" + $0, suffix: ".swift")
        }
        for row in rows {
            let names = row.matches(of: /`(\w+)\.(\w+)`/)
            #expect(!names.isEmpty, "\(row) names no test")
            for name in names {
                let isThere = files.contains { file in
                    file.lines.contains { $0.contains("struct \(name.1)") }
                        && file.lines.contains { $0.contains("func \(name.2)(") }
                }
                #expect(isThere, "\(name.0) is no test")
            }
        }
    }

    @Test(
        "scripts can be run",
        arguments: [
            ".ci/run", "scripts/check_install.sh", "scripts/check_page.py", "scripts/setup.sh",
            "scripts/test_servers.sh", "scripts/make_fixtures.py",
            "scripts/make_transfer_fixtures.py",
        ]
    )
    func executable(path: String) {
        #expect(FileManager.default.isExecutableFile(atPath: Repository.root.appending(path: path).path))
    }

    @Test("the fixture has the size its README says, and no more than 8 MB")
    func fixtureSizes() throws {
        let directory = Repository.root.appending(path: "Fixtures")
        func size(_ name: String) throws -> Int {
            try #require(try directory.appending(path: name).resourceValues(forKeys: [.fileSizeKey]).fileSize)
        }
        #expect(try size("base.f16") == 5000 * 384 * 2)
        #expect(try size("queries.f32") == 100 * 384 * 4)
        #expect(try size("groundtruth.i32") == 100 * 10 * 4)
        #expect(try Repository.text(of: "Fixtures/texts.tsv").split(separator: "\n").count == 5000)
        #expect(try Repository.text(of: "Fixtures/queries.tsv").split(separator: "\n").count == 100)
        let files = FileManager.default.enumerator(at: directory, includingPropertiesForKeys: [.fileSizeKey])
        let bytes = try (files?.compactMap { $0 as? URL } ?? []).reduce(0) { sum, file in
            sum + (try file.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0)
        }
        #expect(bytes <= 8_000_000)
    }

    @Test("links between documents lead somewhere")
    func links() throws {
        for file in try Repository.files(suffix: ".md") {
            for line in file.lines {
                for match in line.matches(of: /\]\(([^)#\s]+)(#[^)]*)?\)/) where !match.1.contains("://") {
                    let target = Repository.root.appending(path: file.path).deletingLastPathComponent()
                        .appending(path: String(match.1))
                    #expect(
                        FileManager.default.fileExists(atPath: target.standardizedFileURL.path),
                        "\(file.path) links to \(match.1)"
                    )
                }
            }
        }
    }
}
