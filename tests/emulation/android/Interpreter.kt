package org.tensorflow.lite

import java.io.DataInputStream
import java.io.DataOutputStream
import java.nio.ByteBuffer

class Tensor(private val bytes: Int) {
    fun numBytes() = bytes
}

/** LiteRT's interpreter, in a Python process: lengths and bytes go through its pipes. */
class Interpreter(model: ByteBuffer, options: Options) : AutoCloseable {
    class Options {
        fun setNumThreads(count: Int) = this
    }

    private val process = ProcessBuilder(System.getProperty("interpreter").split("\n"))
        .redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val to = DataOutputStream(process.outputStream)
    private val from = DataInputStream(process.inputStream)
    private val input: Int
    private val output: Int

    init {
        to.writeInt(model.remaining())
        send(model)
        input = from.readInt()
        output = from.readInt()
    }

    fun getInputTensor(index: Int) = Tensor(input)

    fun getOutputTensor(index: Int) = Tensor(output)

    fun run(tensor: Any, result: Any) {
        send(tensor as ByteBuffer)
        (result as ByteBuffer).put(ByteArray(output).also(from::readFully))
    }

    override fun close() {
        to.close()
        process.waitFor()
    }

    private fun send(buffer: ByteBuffer) {
        to.write(ByteArray(buffer.remaining()).also { buffer.duplicate().get(it) })
        to.flush()
    }
}
