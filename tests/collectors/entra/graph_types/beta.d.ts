// From @microsoft/microsoft-graph-types-beta 0.44.0-preview (npm), MIT License, Copyright (c) Microsoft Corporation.
// The types that the collector reads, without their comments; a test compares them with the package.
export type ApplicationKeyOrigin = "application" | "servicePrincipal" | "unknownFutureValue";
export type ApplicationKeyType = "clientSecret" | "certificate" | "unknownFutureValue";
export type ApplicationKeyUsage = "sign" | "verify" | "unknownFutureValue";
export interface Entity {
    id?: string;
}
export interface AppCredentialSignInActivity extends Entity {
    appId?: string;
    appObjectId?: NullableOption<string>;
    createdDateTime?: NullableOption<string>;
    credentialOrigin?: ApplicationKeyOrigin;
    expirationDateTime?: NullableOption<string>;
    keyId?: string;
    keyType?: NullableOption<ApplicationKeyType>;
    keyUsage?: NullableOption<ApplicationKeyUsage>;
    resourceId?: NullableOption<string>;
    servicePrincipalObjectId?: NullableOption<string>;
    signInActivity?: SignInActivity;
}
export interface ServicePrincipalSignInActivity extends Entity {
    appId?: string;
    applicationAuthenticationClientSignInActivity?: NullableOption<SignInActivity>;
    applicationAuthenticationResourceSignInActivity?: NullableOption<SignInActivity>;
    delegatedClientSignInActivity?: NullableOption<SignInActivity>;
    delegatedResourceSignInActivity?: NullableOption<SignInActivity>;
    lastSignInActivity?: NullableOption<SignInActivity>;
}
export interface SignInActivity {
    lastNonInteractiveSignInDateTime?: NullableOption<string>;
    lastNonInteractiveSignInRequestId?: NullableOption<string>;
    lastSignInDateTime?: NullableOption<string>;
    lastSignInRequestId?: NullableOption<string>;
    lastSuccessfulSignInDateTime?: NullableOption<string>;
    lastSuccessfulSignInRequestId?: NullableOption<string>;
}
