package android.app

import android.content.res.AssetManager
import android.os.Bundle
import android.widget.ImageView

open class Activity {
    val assets = AssetManager(".")

    open fun onCreate(savedInstanceState: Bundle?) = Unit

    fun setContentView(view: ImageView) = Unit

    fun runOnUiThread(action: () -> Unit) = action()
}
