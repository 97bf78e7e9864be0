import Foundation
import SpringgConfiguration
import Testing

@Suite("What is shown of the settings")
struct ReportTests {
    static let secret = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t"

    @Test("the secret is masked in every form")
    func masking() throws {
        for source in ["flag", "environment", "file"] {
            let settings = try load(
                source == "file" ? ["./springg.json": #"{"jwt_secret": "\#(Self.secret)"}"#] : [:],
                flags: source == "flag" ? ["jwt_secret": Self.secret] : [:],
                environment: source == "environment" ? ["SPRINGG_JWT_SECRET": Self.secret] : [:]
            )
            for text in [settings.report(), settings.reportJSON()] {
                #expect(!text.contains(Self.secret))
                #expect(text.contains(Configuration.mask))
                #expect(text.contains(source))
            }
        }
    }

    @Test("the report has a line for every key, and its JSON is JSON")
    func complete() throws {
        let settings = try load()
        let names = settings.report().split(separator: "\n").dropFirst().map { $0.prefix { $0 != " " } }
        #expect(names.map(String.init) == Keys.all.map(\.name))
        guard case .object(let document) = try JSONValue(parsing: Array(settings.reportJSON().utf8)),
            case .object(let shown)? = document["settings"]
        else {
            Issue.record("not an object with settings")
            return
        }
        #expect(Set(shown.keys) == Set(Keys.all.map(\.name)))
        #expect(shown["port"] == .object(["value": .integer(8080), "source": .string("default")]))
    }

    @Test("names are unique in each of their three forms")
    func names() {
        #expect(Set(Keys.all.map(\.name)).count == Keys.all.count)
        #expect(Set(Keys.all.map(\.flagName)).count == Keys.all.count)
        #expect(Keys.dataPath.environmentName == "SPRINGG_DATA_PATH")
        #expect(Keys.dataPath.flagName == "data-path")
        for key in Keys.all { #expect(Keys.named(key.name)?.flagName == key.flagName) }
    }

    @Test("docs/configuration.md holds the reference as it is")
    func documentation() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/configuration.md"), encoding: .utf8)
        #expect(text.contains(Keys.reference()), "replace the table by the output of: springg config --reference")
    }

    @Test("springg.json.example names known keys only, and its values are taken except the secret")
    func example() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "springg.json.example"), encoding: .utf8)
        let settings = try load(["./springg.json": text])
        #expect(settings.warnings == [])
        #expect(throws: ConfigurationError.secretIsExample("your-secret-key-here")) { try settings.checkSecret() }
    }
}
