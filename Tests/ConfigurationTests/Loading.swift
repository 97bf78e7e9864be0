import SpringgConfiguration

/// A world of text for the loader: files by path, flags and variables.
func load(
    _ files: [String: String] = [:],
    flags: [String: String] = [:],
    environment: [String: String] = [:],
    explicitFile: String? = nil
) throws(ConfigurationError) -> Configuration {
    let loader = ConfigurationLoader(
        explicitFile: explicitFile,
        flags: flags,
        environment: environment,
        readFile: { files[$0].map { Array($0.utf8) } }
    )
    return try loader.load()
}

/// The error that loading such a file ends with, as the command line shows it.
func refusal(of file: String) -> String? {
    do {
        _ = try load(["./springg.json": file])
        return nil
    } catch {
        return error.description
    }
}
