// Plays commands of standard input with a session, for the test of Session.kt.

import java.io.IOException
import java.util.concurrent.CountDownLatch
import kotlin.concurrent.thread
import okhttp3.Request

private class Memory : Store {
  override var refreshToken: String? = null
}

fun main() {
  val env = System.getenv()
  val store = Memory()
  val start = { Session(env.getValue("ISSUER"), env.getValue("CLIENT_ID"), env.getValue("API"), store, "orders:read") }
  var session = start()
  fun get(url: String = env.getValue("API") + "/orders"): String = try {
    session.client.newCall(Request.Builder().url(url).build()).execute().use { "${it.code}" }
  } catch (e: IOException) {
    e.javaClass.simpleName
  }
  generateSequence(::readlnOrNull).forEach { line ->
    val answer = when (val word = line.substringBefore(' ')) {
      "login" -> try {
        session.login("ada", line.substringAfter(' '))
        "in"
      } catch (e: IOException) {
        e.javaClass.simpleName
      }
      "get" -> get()
      "abroad" -> get("http://192.0.2.1/")
      "parallel" -> {
        val begin = CountDownLatch(1)
        val answers = java.util.Collections.synchronizedList(mutableListOf<String>())
        List(20) { thread { begin.await(); answers += get() } }.also { begin.countDown() }.forEach { it.join() }
        answers.toSet().joinToString()
      }
      "restart" -> { session = start(); "new" }
      "logout" -> { session.logout(); "${store.refreshToken}" }
      else -> "unknown: $word"
    }
    println(answer)
  }
  session.client.dispatcher.executorService.shutdown()
  kotlin.system.exitProcess(0)
}
