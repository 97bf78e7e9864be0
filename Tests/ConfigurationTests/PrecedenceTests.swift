import SpringgConfiguration
import Testing

@Suite("A flag wins over the environment, that over the file, that over the default")
struct PrecedenceTests {
    static let inFile = ["./springg.json": #"{"port": 1001}"#]

    @Test("each source yields to the stronger one", arguments: 0..<8)
    func eachCombination(mask: Int) throws {
        let (hasFlag, hasVariable, hasFile) = (mask & 4 != 0, mask & 2 != 0, mask & 1 != 0)
        let settings = try load(
            hasFile ? Self.inFile : [:],
            flags: hasFlag ? ["port": "1003"] : [:],
            environment: hasVariable ? ["SPRINGG_PORT": "1002"] : [:]
        )
        let (port, word) =
            hasFlag
            ? (1003, "flag") : hasVariable ? (1002, "environment") : hasFile ? (1001, "file") : (8080, "default")
        #expect(settings[Keys.port] == port)
        #expect(settings.setting(of: Keys.port).source.word == word)
        #expect(settings.isSet(Keys.port) == (mask != 0))
    }

    @Test("every key can be given in each of the three ways")
    func everyKey() throws {
        for key in Keys.all {
            let text = key.defaultValue.text.isEmpty ? "x" : key.defaultValue.text
            let value = key.defaultValue.text.isEmpty ? JSONValue.string("x") : key.defaultValue.json
            let file = JSONValue.object([key.name: value]).text()
            #expect(try load(flags: [key.name: text]).setting(of: key).source.word == "flag")
            #expect(try load(environment: [key.environmentName: text]).setting(of: key).source.word == "environment")
            #expect(try load(["./springg.json": file]).setting(of: key).source.word == "file")
        }
    }

    @Test("an empty variable and a null in the file count as not set")
    func emptyMeansNotSet() throws {
        let settings = try load(["./springg.json": #"{"port": null}"#], environment: ["SPRINGG_PORT": ""])
        #expect(settings.setting(of: Keys.port).source == .byDefault)
    }

    @Test("the file is --config, else ./springg.json, else $HOME/springg.json, else none")
    func fileLookup() throws {
        let files = ["./springg.json": "{}", "/home/me/springg.json": "{}", "/etc/other.json": "{}"]
        let home = ["HOME": "/home/me"]
        #expect(try load(files, environment: home).file == "./springg.json")
        #expect(try load(files, environment: home, explicitFile: "/etc/other.json").file == "/etc/other.json")
        let onlyHome = files.filter { $0.key != "./springg.json" }
        #expect(try load(onlyHome, environment: home).file == "/home/me/springg.json")
        #expect(try load(environment: home).file == nil)
        #expect(throws: ConfigurationError.fileNotFound("/etc/missing.json")) {
            try load(files, explicitFile: "/etc/missing.json")
        }
    }

    @Test("names in the file may have any capitals, as for the Go program, but not twice")
    func capitals() throws {
        #expect(try load(["./springg.json": #"{"Port": 9000}"#])[Keys.port] == 9000)
        #expect(refusal(of: #"{"Port": 1, "port": 2}"#) == "port is given twice in ./springg.json")
    }

    @Test("an unknown key is a warning that names the nearest known one, never a failure")
    func unknownKeys() throws {
        let settings = try load(["./springg.json": #"{"data_paht": "x", "zzz": 1}"#])
        #expect(
            settings.warnings == [
                #"unknown key "data_paht" in ./springg.json: did you mean "data_path"?"#,
                #"unknown key "zzz" in ./springg.json"#,
            ]
        )
    }

    @Test("a misspelt variable is a warning; variables of other programs are not")
    func unknownVariables() throws {
        let settings = try load(environment: ["SPRINGG_PROT": "1", "SPRINGG_SERVICE_HOST": "x", "PATH": "/bin"])
        #expect(settings.warnings == ["unknown variable SPRINGG_PROT: did you mean SPRINGG_PORT?"])
    }
}
