/// The settings in force, each with the place it came from.
public struct Configuration: Sendable {
    /// The file that was read, or nil when there is none.
    public let file: String?
    /// Sentences about names that mean nothing, for the log.
    public let warnings: [String]
    /// Key name → setting; every key is present.
    private let settings: [String: ResolvedSetting]

    init(file: String?, warnings: [String], settings: [String: ResolvedSetting]) {
        precondition(settings.count == Keys.all.count, "\(settings.count) settings for \(Keys.all.count) keys")
        self.file = file
        self.warnings = warnings
        self.settings = settings
    }

    /// The value in force.
    public subscript<Value>(key: ConfigurationKey<Value>) -> Value {
        settings[key.name]?.value as? Value ?? key.defaultValue
    }

    /// The value in force and its source.
    public func setting(of key: any AnyConfigurationKey) -> ResolvedSetting {
        settings[key.name] ?? key.defaultSetting
    }

    /// Whether somebody set the key, be it to its default.
    public func isSet(_ key: any AnyConfigurationKey) -> Bool { setting(of: key).source != .byDefault }
}
