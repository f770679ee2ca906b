package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// purgeRequest is the body of POST /v1/purge; without purge it would be soft.
type purgeRequest struct {
	Type      string   `json:"type"`
	Selectors []string `json:"selectors"`
	Purge     bool     `json:"purge"`
}

// purgeAnswer is what the demo needs of the answer.
type purgeAnswer struct {
	ID      string `json:"id"`
	Applied bool   `json:"applied"`
}

// apiType is the kind's name in the purge API.
func (k kind) apiType() string { return [kinds]string{"uri", "uri", "tag", "uri-prefix"}[k] }

// send purges and returns nil when that was acknowledged as applied.
func (p *purger) send(ctx context.Context, k kind, selectors []string) error {
	body, err := json.Marshal(purgeRequest{k.apiType(), selectors, true})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.admin+"/v1/purge", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("status %d: %.200q", res.StatusCode, said)
	}
	var answer purgeAnswer
	if err := json.Unmarshal(said, &answer); err != nil {
		return fmt.Errorf("answer %.200q: %w", said, err)
	}
	if !answer.Applied {
		return fmt.Errorf("answer %.200q does not say applied", said)
	}
	return nil
}
