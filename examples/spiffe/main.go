// Command spiffe prints an access token. A JWT-SVID of its workload proves its client.
//
//	SPIFFE_ENDPOINT_SOCKET=unix:///run/spire/agent.sock spiffe https://auth.example.com billing-job orders:read
package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: spiffe ISSUER CLIENT-ID SCOPE")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	token, err := accessToken(ctx, os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(token.AccessToken)
}

// accessToken asks the agent for a JWT-SVID whose only audience is the issuer, and the issuer for a
// token.
func accessToken(ctx context.Context, issuer, clientID, scope string) (*oauth2.Token, error) {
	svid, err := workloadapi.FetchJWTSVID(ctx, jwtsvid.Params{Audience: issuer})
	if err != nil {
		return nil, err
	}
	return exchange(ctx, issuer, clientID, scope, svid.Marshal())
}

// exchange presents a JWT-SVID to Grantor (draft-ietf-oauth-spiffe-client-auth §3.1).
func exchange(ctx context.Context, issuer, clientID, scope, svid string) (*oauth2.Token, error) {
	client := clientcredentials.Config{ClientID: clientID, Scopes: []string{scope},
		TokenURL: issuer + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams,
		EndpointParams: url.Values{
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"},
			"client_assertion":      {svid},
		}}
	return client.Token(ctx)
}
