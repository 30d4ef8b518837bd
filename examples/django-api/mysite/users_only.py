from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken


class UsersOnly(JWTAuthentication):
    """simplejwt takes the sub of a machine, a client id, for a user's primary key."""

    def get_user(self, validated_token):
        if validated_token.get("sub_type") != "user":
            raise InvalidToken("this token is of a machine")
        return super().get_user(validated_token)
