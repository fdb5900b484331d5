// Package plugintest tests plugins in go test, within one process and over the real protocol:
//
//	func TestBanner(t *testing.T) {
//		banner := plugintest.Checker(t, "banner", check).Config(`{"prefix": "220 "}`)
//		banner.Against(mailServer(t)).Pass()
//		banner.Against(webServer(t)).Fail("greeting")
//		banner.Config(`{"prefix": 7}`).Invalid("prefix", "not a text")
//		banner.Conformance()
//	}
//
// A configuration is a JSON object by the names of the tags, the form in which vipward sends it. The package is not for
// executables: vipward plugin test checks those, with the same suite as Conformance.
package plugintest
