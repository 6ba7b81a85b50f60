"""What the tests of the agents share: a scripted model that counts its calls, and tools without effects."""

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from pydantic import Field

# What 20 tools do, and what people say who need them.
TOOLS = {
    "get_weather": (
        "Get the current weather and the forecast for a city.",
        ["will I need an umbrella in Oslo tomorrow", "how hot is it in Madrid now", "is it going to snow this weekend"],
    ),
    "book_flight": (
        "Search for flights between two airports and book seats.",
        ["I need to fly from Berlin to Rome", "two seats on a plane to Tokyo", "cheapest way to fly to Boston"],
    ),
    "book_hotel": (
        "Find and reserve hotel rooms for given dates.",
        [
            "somewhere to stay in Paris for three nights",
            "reserve a double room",
            "I need a hotel in Vienna from the 3rd",
        ],
    ),
    "send_email": (
        "Send an email to one or more recipients.",
        ["write to Anna that the meeting is off", "mail the report to the whole team", "drop Bob a line about it"],
    ),
    "create_calendar_event": (
        "Create an event in the user's calendar and invite people.",
        ["put lunch with Sam in my diary", "schedule a call with the lawyers at 3pm", "invite everyone to a kickoff"],
    ),
    "set_reminder": (
        "Remind the user of something at a given time.",
        ["don't let me forget to water the plants", "remind me to call mum at six", "nudge me in an hour"],
    ),
    "web_search": (
        "Search the web for up-to-date information.",
        [
            "look up who won the match last night",
            "find articles about heat pumps",
            "google the opening hours of the zoo",
        ],
    ),
    "calculator": (
        "Evaluate arithmetic expressions.",
        ["what is 17 percent of 2340", "multiply 48 by 193", "square root of 1764 plus 12"],
    ),
    "currency_converter": (
        "Convert an amount of money from one currency to another.",
        ["how many dollars are 300 euros", "what's 5000 yen in pounds", "exchange rate for swiss francs today"],
    ),
    "translate_text": (
        "Translate text from one language to another.",
        [
            "how do you say thank you in Japanese",
            "put this paragraph into French",
            "what does Feierabend mean in English",
        ],
    ),
    "query_database": (
        "Run a read-only SQL query against the company's data warehouse.",
        ["how many orders did we ship last quarter", "select all customers in Spain", "revenue by region for 2024"],
    ),
    "create_support_ticket": (
        "Open a ticket with the support team about a problem.",
        [
            "the app keeps crashing, tell support",
            "open a case about my broken router",
            "file a bug about the login page",
        ],
    ),
    "play_music": (
        "Play songs, albums or playlists.",
        ["put on some jazz", "play the new album by Adele", "I want to hear something calm"],
    ),
    "smart_home": (
        "Control lights, heating and other devices at home.",
        ["turn off the lamps in the living room", "make it warmer in the bedroom", "switch on the coffee machine"],
    ),
    "order_food": (
        "Order food from restaurants for delivery.",
        ["I'm hungry, get me a pizza", "have some sushi delivered to the office", "order two burgers and fries"],
    ),
    "stock_price": (
        "Get the price of a share and its recent history.",
        ["how is Apple trading", "what did Tesla close at yesterday", "has Nvidia gone up this week"],
    ),
    "summarize_document": (
        "Summarise a document or a web page.",
        ["give me the gist of this PDF", "what are the main points of the report", "tl;dr of this article"],
    ),
    "get_directions": (
        "Give directions and travel time between two places.",
        ["how do I get to the airport", "how long does it take to drive to Lyon", "fastest way to walk to the museum"],
    ),
    "generate_image": (
        "Draw an image from a description.",
        ["make a picture of a cat on a bicycle", "draw me a logo with a mountain", "paint a sunset over the sea"],
    ),
    "run_python": (
        "Execute Python code and return its output.",
        ["run this script and show what it prints", "plot a histogram with pandas", "execute the code above"],
    ),
}


class ScriptedModel(BaseChatModel):
    """Answers from a script, and keeps what it was asked and which tools it was offered."""

    script: list = Field(default_factory=list)
    asked: list = Field(default_factory=list)
    offered: list = Field(default_factory=list)
    bound: list = Field(default_factory=list)

    @property
    def _llm_type(self):
        return "scripted"

    @property
    def calls(self):
        return len(self.asked)

    def bind_tools(self, tools, **kwargs):
        return self.bind(names=[each["name"] if isinstance(each, dict) else each.name for each in tools])

    def _generate(self, messages, stop=None, run_manager=None, names=(), **kwargs):
        self.offered.append(list(names))
        answer = self.script[len(self.asked)] if len(self.asked) < len(self.script) else AIMessage("from the model")
        self.asked.append(messages)
        return ChatResult(generations=[ChatGeneration(message=answer)])


def made(name, description):
    return StructuredTool.from_function(lambda query="": f"{name} ran", name=name, description=description)
