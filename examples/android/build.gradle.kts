// The parts of an app module's build file that matter here; Android Studio writes the rest.
android {
    namespace = "org.example.edgepose"
    compileSdk = 35
    defaultConfig { minSdk = 23 }
    // The model is read from the APK as it is, and mapped into memory: it must not be compressed.
    androidResources { noCompress += "tflite" }
}

dependencies {
    // The version of LiteRT whose Python package runs the tests of these files.
    implementation("com.google.ai.edge.litert:litert:2.3.0")
}
