package android.widget

import android.app.Activity
import android.graphics.Bitmap

class ImageView(activity: Activity) {
    fun setImageBitmap(bitmap: Bitmap) = Unit
}
