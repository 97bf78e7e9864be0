/// Finds and merges what flags, environment and file say: flag before environment before file before default.
///
/// The outside world is handed in, so that a test can be all of it.
public struct ConfigurationLoader {
    /// Name of the file that is looked for in the working directory and in `$HOME`.
    public static let fileName = "springg.json"

    /// The file that the command line names; nil: look for one.
    public var explicitFile: String?
    /// Key name → text, of the flags that were given.
    public var flags: [String: String]
    /// The variables of the process.
    public var environment: [String: String]
    /// The bytes of a file, nil when there is none.
    public var readFile: (String) throws(ConfigurationError) -> [UInt8]?

    /// A loader for one command line.
    public init(
        explicitFile: String?,
        flags: [String: String],
        environment: [String: String],
        readFile: @escaping (String) throws(ConfigurationError) -> [UInt8]?
    ) {
        self.explicitFile = explicitFile
        self.flags = flags
        self.environment = environment
        self.readFile = readFile
    }

    /// The settings in force.
    ///
    /// Whether the secret is good enough is not asked here: see `Configuration.checkSecret()`.
    /// - Throws: `ConfigurationError` for the first thing that is wrong, in the order of the reference.
    public func load() throws(ConfigurationError) -> Configuration {
        let file = try findFile()
        var inFile: [String: JSONValue] = [:]
        var warnings: [String] = []
        if let file {
            (inFile, warnings) = try ConfigurationLoader.readObject(file.bytes, path: file.path)
        }
        warnings += unknownVariables()
        var settings: [String: ResolvedSetting] = [:]
        for key in Keys.all {
            settings[key.name] = try resolve(key, inFile: inFile[key.name], path: file?.path ?? "")
        }
        return Configuration(file: file?.path, warnings: warnings, settings: settings)
    }

    /// `--config`, else ./springg.json, else $HOME/springg.json, else none.
    private func findFile() throws(ConfigurationError) -> (path: String, bytes: [UInt8])? {
        if let explicitFile {
            guard let bytes = try readFile(explicitFile) else { throw .fileNotFound(explicitFile) }
            return (explicitFile, bytes)
        }
        var candidates = ["./" + ConfigurationLoader.fileName]
        if let home = environment["HOME"], !home.isEmpty {
            candidates.append(home + "/" + ConfigurationLoader.fileName)
        }
        for path in candidates {
            if let bytes = try readFile(path) { return (path, bytes) }
        }
        return nil
    }

    private func resolve(
        _ key: any AnyConfigurationKey,
        inFile: JSONValue?,
        path: String
    ) throws(ConfigurationError) -> ResolvedSetting {
        if let text = flags[key.name] {
            return try key.resolve(text: text, from: .flag(key.flagName))
        }
        // An empty variable counts as not set: unit files and compose files pass on what they do not have as "".
        if let text = environment[key.environmentName], !text.isEmpty {
            return try key.resolve(text: text, from: .environment(key.environmentName))
        }
        // null is "not set", as for the Go program.
        if let inFile, inFile != .null {
            return try key.resolve(json: inFile, from: .file(path))
        }
        return key.defaultSetting
    }

    /// Known keys with their values, and a sentence for each unknown one.
    ///
    /// Capitals do not matter, as in Go's reader.
    private static func readObject(
        _ bytes: [UInt8],
        path: String
    ) throws(ConfigurationError) -> ([String: JSONValue], [String]) {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw .notJSON(path, reason: error.description)
        }
        guard case .object(let members) = document else { throw .notAnObject(path, found: document.summary) }
        var known: [String: JSONValue] = [:]
        var warnings: [String] = []
        for (written, value) in members.sorted(by: { $0.key < $1.key }) {
            let name = written.lowercased()
            guard Keys.named(name) != nil else {
                warnings.append("unknown key \(quoted(written)) in \(path)" + suggestion(for: name))
                continue
            }
            guard known.updateValue(value, forKey: name) == nil else { throw .givenTwice(key: name, file: path) }
        }
        return (known, warnings)
    }

    private static func suggestion(for name: String) -> String {
        guard let nearest = nearestName(to: name, among: Keys.all.map(\.name)) else { return "" }
        return ": did you mean \(quoted(nearest))?"
    }

    /// Variables that look like a misspelt setting.
    ///
    /// Others are left alone: Kubernetes, for one, sets variables such as `SPRINGG_SERVICE_HOST` for a service of that
    /// name.
    private func unknownVariables() -> [String] {
        let names = Keys.all.map(\.environmentName)
        return environment.keys.sorted().compactMap { variable in
            guard variable.hasPrefix("SPRINGG_"), !names.contains(variable),
                let nearest = nearestName(to: variable, among: names)
            else { return nil }
            return "unknown variable \(variable): did you mean \(nearest)?"
        }
    }
}
