/// One setting: everything that the file, the environment, the flags, the help and the reference need to know of it.
public struct ConfigurationKey<Value: ConfigurationValue>: AnyConfigurationKey {
    /// The name in the file, such as `data_path`.
    public let name: String
    /// What is in force when nobody says otherwise.
    public let defaultValue: Value
    /// One or two sentences for help and reference; units and what 0 means stand here.
    public let meaning: String
    /// Whether the value is masked wherever settings are shown.
    public let isSecret: Bool
    /// The complete error text for a value that is out of bounds, or nil.
    let check: @Sendable (Value) -> String?

    init(
        _ name: String,
        _ defaultValue: Value,
        _ meaning: String,
        isSecret: Bool = false,
        check: @escaping @Sendable (Value) -> String? = { _ in nil }
    ) {
        self.name = name
        self.defaultValue = defaultValue
        self.meaning = meaning
        self.isSecret = isSecret
        self.check = check
    }
}

/// A setting whose type does not matter where it is used.
public protocol AnyConfigurationKey: Sendable {
    /// The type of the setting's values.
    associatedtype Value: ConfigurationValue
    /// The name in the file, such as `data_path`.
    var name: String { get }
    /// What is in force when nobody says otherwise.
    var defaultValue: Value { get }
    /// One or two sentences for help and reference.
    var meaning: String { get }
    /// Whether the value is masked wherever settings are shown.
    var isSecret: Bool { get }
    /// Reads and checks the value that a file holds.
    func resolve(json: JSONValue, from source: ConfigurationSource) throws(ConfigurationError) -> ResolvedSetting
    /// Reads and checks the value of an environment variable or a flag.
    func resolve(text: String, from source: ConfigurationSource) throws(ConfigurationError) -> ResolvedSetting
}

extension AnyConfigurationKey {
    /// The variable of the environment: `SPRINGG_DATA_PATH`.
    public var environmentName: String { "SPRINGG_" + name.uppercased() }
    /// The flag without its dashes: `data-path`.
    public var flagName: String { String(name.map { $0 == "_" ? "-" : $0 }) }
    /// The kind of value, for the table of keys.
    public var kind: String { Value.tableName }
    /// The setting with its default.
    public var defaultSetting: ResolvedSetting { ResolvedSetting(value: defaultValue, source: .byDefault) }
}

extension ConfigurationKey {
    /// See the protocol.
    public func resolve(
        json: JSONValue,
        from source: ConfigurationSource
    ) throws(ConfigurationError) -> ResolvedSetting {
        let value: Value?
        do {
            value = try Value(json: json)
        } catch {
            throw .invalid("invalid \(name): \(error.reason)", source)
        }
        guard let value else {
            throw .wrongType(key: name, expected: Value.kindName, found: json.summary, source)
        }
        return try checked(value, source)
    }

    /// See the protocol.
    public func resolve(text: String, from source: ConfigurationSource) throws(ConfigurationError) -> ResolvedSetting {
        let value: Value
        do {
            value = try Value(text: text)
        } catch {
            throw .invalid("invalid \(name): \(error.reason)", source)
        }
        return try checked(value, source)
    }

    private func checked(_ value: Value, _ source: ConfigurationSource) throws(ConfigurationError) -> ResolvedSetting {
        if let problem = check(value) { throw .invalid(problem, source) }
        return ResolvedSetting(value: value, source: source)
    }
}

/// A value and where it came from.
public struct ResolvedSetting: Sendable {
    /// What is in force.
    public let value: any ConfigurationValue
    /// Who said so.
    public let source: ConfigurationSource
}

/// Where a value came from, weakest last: flag, environment, file, default.
public enum ConfigurationSource: Equatable, Sendable, CustomStringConvertible {
    /// A flag of the command line.
    case flag(String)
    /// A variable of the environment.
    case environment(String)
    /// The file at a path.
    case file(String)
    /// The built-in default.
    case byDefault

    /// One word: `flag`, `environment`, `file` or `default`.
    public var word: String {
        switch self {
        case .flag: "flag"
        case .environment: "environment"
        case .file: "file"
        case .byDefault: "default"
        }
    }

    /// The place itself, such as `the variable SPRINGG_PORT`.
    public var description: String {
        switch self {
        case .flag(let name): "the flag --\(name)"
        case .environment(let name): "the variable \(name)"
        case .file(let path): path
        case .byDefault: "the default"
        }
    }
}
