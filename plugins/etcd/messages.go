package etcd

// The messages of etcdserverpb, as the gateway words them: bytes are in base64, 64-bit numbers are texts.
type (
	txn struct {
		Compare []compare `json:"compare"`
		Success []op      `json:"success"`
		Failure []op      `json:"failure"`
	}
	compare struct {
		Key            string `json:"key"`
		Result         string `json:"result"`
		Target         string `json:"target"`
		Value          string `json:"value,omitempty"`
		CreateRevision string `json:"create_revision,omitempty"`
	}
	op struct {
		Put    *put   `json:"request_put,omitempty"`
		Range  *keyed `json:"request_range,omitempty"`
		Delete *keyed `json:"request_delete_range,omitempty"`
		Txn    *txn   `json:"request_txn,omitempty"`
	}
	put struct {
		Key   string `json:"key"`
		Value string `json:"value"`
		Lease string `json:"lease"`
	}
	keyed struct {
		Key string `json:"key"`
	}
	answer struct {
		Succeeded bool `json:"succeeded"`
		Responses []struct {
			Range *struct {
				KVs []struct {
					Value string `json:"value"`
				} `json:"kvs"`
			} `json:"response_range"`
			Txn *answer `json:"response_txn"`
		} `json:"responses"`
	}
)
