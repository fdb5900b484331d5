package etcd

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk/plugintest"
)

func TestWhatIsRefused(t *testing.T) {
	w := plugintest.Witness(t, "etcd", functions())
	w.Config(`{"endpoints": []}`).Invalid("endpoints", "name one member")
	w.Config(`{"endpoints": ["http://10.9.0.5:2379", "10.9.0.6:2379"]}`).Invalid("endpoints[1]", "")
	w.Config(`{"endpoints": ["http://10.9.0.5:2379"], "user": "a"}`).Invalid("user", "belong together")
	w.Config(`{"endpoints": ["http://10.9.0.5:2379"], "user": "a", "password": "b"}`).Valid()
}

func TestAnEtcdThatDoesNotDoItsDuty(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{"an error", "", "lease/grant: status 500"},
		{"a lease that is too short", `{"ID":"7","TTL":"1"}`, `asked for 3 s, the answer is a lease "7" of "1" s`},
		{"a transaction without its inner part", `{"ID":"7","TTL":"3","succeeded":false}`, "lacks its inner part"},
		{"a holder that nobody knows", `{"ID":"7","TTL":"3","responses":[{"response_txn":{"responses":[{"response_range":{}}]}}]}`, "does not say who has the key"},
	} {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if tt.answer == "" {
				w.WriteHeader(http.StatusInternalServerError)
			}
			_, _ = io.WriteString(w, tt.answer)
		}))
		plugintest.Witness(t, "etcd", functions()).Config(`{"endpoints": ["` + h.URL + `"]}`).Acquire().Unknown(tt.want)
		h.Close()
	}
}

func TestEveryMemberHasItsPartOfTheTime(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer silent.Close()
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ID":"7","TTL":"3","succeeded":true}`)
	}))
	defer good.Close()
	w := plugintest.Witness(t, "etcd", functions()).Timeout(2 * time.Second)
	w.Config(`{"endpoints": ["http://127.0.0.1:1", "` + silent.URL + `", "` + good.URL + `"]}`).Acquire().Granted()
	w.Config(`{"endpoints": ["http://127.0.0.1:1"]}`).Acquire().Unknown("127.0.0.1:1: lease/grant: ")
}
