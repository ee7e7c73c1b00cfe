// The parts of an app module's build file that matter here; Android Studio writes the rest.
android {
    namespace = "org.example.edgepose"
    compileSdk = 35
    defaultConfig { minSdk = 23 }  // LiteRT's own since 2.1
}

dependencies {
    // The version of LiteRT whose Python package runs the tests of these steps. Before 2.1 the 2.x
    // series had no org.tensorflow.lite.Interpreter.
    implementation("com.google.ai.edge.litert:litert:2.3.0")
}
