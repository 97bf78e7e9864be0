// swift-tools-version: 6.1
import PackageDescription

// What runs under ThreadSanitizer: the rooms below the network, in which threads share memory, and their tests. The same
// sources, by links; with them goes a mutex that the sanitizer can see. `make tsan` builds and runs it.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    // Of the same name as the whole, for what is visible within the package.
    name: "springg",
    targets: [
        .target(
            name: "CSpringg",
            cSettings: [.unsafeFlags(["-O3"])],
            cxxSettings: [.unsafeFlags(["-O3"])]
        ),
        .target(name: "CTestKit", cSettings: [.unsafeFlags(["-O3"])]),
        .target(name: "SpringgLog", dependencies: ["CSpringg"], swiftSettings: settings),
        .target(name: "SpringgProjections", dependencies: ["SpringgLog", "CSpringg"], swiftSettings: settings),
        .target(name: "SpringgTestKit", dependencies: ["CTestKit", "SpringgLog"], swiftSettings: settings),
        .testTarget(
            name: "SpringgProjectionsTests",
            dependencies: ["SpringgProjections", "SpringgLog", "SpringgTestKit", "CSpringg"],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
