import Foundation
import Testing

@Suite("What packaging promises")
struct AlertTests {
    /// promtool checks that alerts can be computed; a metric that nobody writes would make one that never fires.
    @Test("alerts ask for metrics that the server has, and the operations page explains each alert")
    func metrics() throws {
        let alerts = try Repository.text(of: "packaging/alerts.yml")
        let sources = try Repository.files(in: "Sources", suffix: ".swift").flatMap(\.lines)
        let names = Set(alerts.matches(of: /springg_[a-z0-9_]+/).map { String($0.0) })
        #expect(names.count > 10)
        for name in names {
            // Of a histogram the sources name the family.
            let family = name.hasSuffix("_bucket") ? String(name.dropLast("_bucket".count)) : name
            #expect(sources.contains { $0.contains("\"\(family)\"") }, "nobody writes \(name)")
        }
        let page = try Repository.text(of: "docs/operations.md")
        for match in alerts.matches(of: /- alert: (\w+)/) {
            #expect(page.contains("`\(match.1)`"), "docs/operations.md does not tell what \(match.1) means")
        }
    }

    @Test("a container is built without what was built here")
    func containerIgnore() throws {
        let lines = try Repository.text(of: ".dockerignore").split(separator: "\n")
        for wanted in [".build*", ".git", "/springg.json"] as [Substring] { #expect(lines.contains(wanted)) }
    }
}
