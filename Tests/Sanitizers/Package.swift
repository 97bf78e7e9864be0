// swift-tools-version: 6.1
import PackageDescription

// What runs under ThreadSanitizer and AddressSanitizer: the rooms in which threads share memory, the server among them, and
// their tests. The same sources, by links; with them goes a mutex that ThreadSanitizer can see. `make tsan` and `make asan`
// build and run it.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    // Of the same name as the whole, for what is visible within the package.
    name: "springg",
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .target(
            name: "CSpringg",
            cSettings: [.unsafeFlags(["-O3"])],
            cxxSettings: [.unsafeFlags(["-O3"])]
        ),
        .target(name: "CSpringgPages", exclude: ["index.html", "openapi.json"]),
        .target(name: "CTestKit", cSettings: [.unsafeFlags(["-O3"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd"),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl"),
        .target(name: "SpringgConfiguration", dependencies: ["CSpringg"], swiftSettings: settings),
        .target(name: "SpringgLog", dependencies: ["CSpringg"], swiftSettings: settings),
        .target(name: "SpringgProjections", dependencies: ["SpringgLog", "CSpringg"], swiftSettings: settings),
        .target(
            name: "SpringgArchive",
            dependencies: [
                "SpringgProjections", "SpringgLog", "SpringgConfiguration", "CSpringg", "CZstd", "CCurl", "COpenSSL",
            ],
            swiftSettings: settings
        ),
        .target(
            name: "SpringgCluster",
            dependencies: ["SpringgLog", "CSpringg", "COpenSSL"],
            swiftSettings: settings
        ),
        .target(
            name: "SpringgNet",
            dependencies: [
                "SpringgArchive", "SpringgProjections", "SpringgCluster", "SpringgLog", "CSpringg", "CSpringgPages",
                "COpenSSL",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "SpringgTestKit",
            dependencies: ["CTestKit", "SpringgLog"],
            // None of these tests has an archive.
            exclude: ["Module/MemoryStore.swift"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SpringgProjectionsTests",
            dependencies: ["SpringgProjections", "SpringgLog", "SpringgTestKit", "CSpringg"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SpringgNetTests",
            dependencies: [
                "SpringgNet", "SpringgCluster", "SpringgProjections", "SpringgTestKit",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
