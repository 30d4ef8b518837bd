// A login of a user at Grantor, for Android and the JVM, with OkHttp.

import java.io.IOException
import java.time.Duration
import okhttp3.FormBody
import okhttp3.HttpUrl
import okhttp3.HttpUrl.Companion.toHttpUrl
import okhttp3.Interceptor
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import org.json.JSONObject

/** Where the refresh token is kept: encrypted by a key of the Android Keystore, never a plain file. */
interface Store {
  var refreshToken: String?
}

/** The session is over, or there is none: show the login screen. */
class LoggedOut(message: String) : IOException(message)

/** Grantor did not answer, or cannot at the moment: the session goes on. Try again later. */
class Unavailable(message: String) : IOException(message)

class Session(
  private val issuer: String, // https://auth.example.com
  private val clientId: String, // a public client with the password grant
  api: String, // https://orders.example.com: the token is sent there alone
  private val store: Store,
  private val scope: String? = null,
) {
  private class Access(val token: String, val until: Long)

  private val api: HttpUrl = api.toHttpUrl()
  private val grantor = OkHttpClient.Builder().callTimeout(Duration.ofSeconds(5)).build()
  private var access: Access? = null // guarded by this, like the store

  /** For requests to the API: they carry the access token, and are repeated once after a 401. */
  val client: OkHttpClient = OkHttpClient.Builder()
    .addInterceptor(::authorize)
    .authenticator { _, response -> renewed(response) }
    .build()

  /** Logs in. Do not repeat it without the user: each wrong password counts towards a lockout. */
  @Synchronized
  fun login(username: String, password: String) {
    val form = mutableMapOf("grant_type" to "password", "username" to username, "password" to password)
    scope?.let { form["scope"] = it }
    keep(ask("token", form, attempts = 1, refusal = "wrong name or password"))
  }

  /** Ends the session on this device, at Grantor and here. */
  @Synchronized // it waits for a refresh that would store its answer afterwards
  fun logout() {
    val token = store.refreshToken
    access = null
    store.refreshToken = null
    if (token != null) ask("revoke", mapOf("token" to token), refusal = "") // the whole session ends
  }

  private fun authorize(chain: Interceptor.Chain): Response {
    val request = chain.request()
    if (!ours(request)) throw IOException("${request.url.host} is not the API")
    return chain.proceed(with(request, accessToken()))
  }

  /** The request with another token, after a 401; null: the API refused that one as well. */
  @Synchronized
  private fun renewed(response: Response): Request? {
    if (response.priorResponse != null) return null
    val used = response.request.header("Authorization")
    if (used == "Bearer ${access?.token}") access = null // else another request has renewed it
    return with(response.request, accessToken())
  }

  /** One refresh for all requests: the others wait here. A second with the same token would be a reuse. */
  @Synchronized
  private fun accessToken(): String {
    access?.let { if (System.nanoTime() < it.until) return it.token }
    val token = store.refreshToken ?: throw LoggedOut("not logged in")
    try {
      return keep(ask("token", mapOf("grant_type" to "refresh_token", "refresh_token" to token), refusal = "the session is over"))
    } catch (e: LoggedOut) { // the user, an operator or a new password ended it
      access = null
      store.refreshToken = null
      throw e
    }
  }

  /** Stores the refresh token before anything is done with the access token. */
  private fun keep(answer: JSONObject): String {
    store.refreshToken = answer.getString("refresh_token")
    val token = answer.getString("access_token")
    val seconds = answer.getLong("expires_in") - 10 // not used any more in the last ten
    access = Access(token, System.nanoTime() + Duration.ofSeconds(seconds).toNanos())
    return token
  }

  /**
   * Asks Grantor, and repeats the same question where no answer came. A refresh whose answer was lost is
   * safe to repeat: within its retry window Grantor gives the same answer to the same token.
   */
  private fun ask(endpoint: String, form: Map<String, String>, attempts: Int = 3, refusal: String): JSONObject {
    val body = FormBody.Builder().add("client_id", clientId).apply { form.forEach { (k, v) -> add(k, v) } }.build()
    val request = Request.Builder().url("$issuer/oauth2/$endpoint").post(body).build()
    var failure = Unavailable("no answer")
    repeat(attempts) { attempt ->
      if (attempt > 0) Thread.sleep(1000L * attempt)
      try {
        grantor.newCall(request).execute().use { answer ->
          if (answer.isSuccessful) return JSONObject(answer.body.string())
          if (answer.code == 400) throw refused(JSONObject(answer.body.string()), refusal)
          failure = Unavailable("Grantor answers ${answer.code}")
          if (answer.code != 503) throw failure
        }
      } catch (e: LoggedOut) {
        throw e
      } catch (e: Unavailable) {
        throw e
      } catch (_: IOException) {
        failure = Unavailable("no answer")
      }
    }
    throw failure
  }

  /** invalid_grant is about the user; every other refusal is a mistake in the app. */
  private fun refused(answer: JSONObject, why: String): Exception = when (val error = answer.getString("error")) {
    "invalid_grant" -> LoggedOut(why)
    else -> IllegalStateException("$error: ${answer.optString("error_description")}")
  }

  private fun ours(request: Request) =
    request.url.scheme == api.scheme && request.url.host == api.host && request.url.port == api.port

  private fun with(request: Request, token: String) =
    request.newBuilder().header("Authorization", "Bearer $token").build()
}
