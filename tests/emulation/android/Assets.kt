package android.content.res

import java.io.File
import java.io.InputStream

class AssetManager(private val folder: String) {
    fun open(name: String): InputStream = File(folder, name).inputStream()
}
